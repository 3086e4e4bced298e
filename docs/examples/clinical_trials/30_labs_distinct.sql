-- The same revision of a sample that came twice: the first one.
SELECT result_id, sample_id, revision, subject_id, visit_id, analyte, value, unit, measured_at
FROM (
    SELECT *, row_number() OVER (PARTITION BY sample_id, revision ORDER BY result_id) AS delivery
    FROM lab_results
) AS deliveries
WHERE delivery = 1
