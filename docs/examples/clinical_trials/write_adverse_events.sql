SELECT event_id, subject_key, term, severity, serious, start_day, end_day FROM events_timed
