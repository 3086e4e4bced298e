-- Corrections come later, under the sample's number and a higher revision.
SELECT result_id, sample_id, revision, subject_id, visit_id, analyte, value, unit, measured_at
FROM (
    SELECT *, row_number() OVER (PARTITION BY sample_id ORDER BY revision DESC) AS age
    FROM labs_distinct
) AS revisions
WHERE age = 1
