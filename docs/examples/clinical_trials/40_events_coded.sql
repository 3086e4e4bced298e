SELECT e.event_id, e.subject_id, t.term, e.severity, e.started_on, e.ended_on, e.serious
FROM adverse_events AS e
LEFT JOIN event_terms AS t ON t.verbatim = lower(trim(e.term))
