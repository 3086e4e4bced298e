SELECT e.event_id FROM events_coded AS e LEFT ANTI JOIN subjects_deidentified AS s ON s.subject_id = e.subject_id
