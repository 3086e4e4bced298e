SELECT
    e.event_id,
    s.subject_key,
    e.term,
    e.severity,
    e.serious,
    datediff(e.started_on, s.consented_on) AS start_day,
    datediff(e.ended_on, s.consented_on) AS end_day
FROM events_coded AS e
INNER JOIN subjects_deidentified AS s ON s.subject_id = e.subject_id
