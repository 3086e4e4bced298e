SELECT event_id FROM events_coded WHERE term IS NULL
