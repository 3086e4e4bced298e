-- The first result that a subject has of an analyte.
SELECT
    *,
    first_value(value) OVER (
        PARTITION BY subject_id, code
        ORDER BY measured_at, sample_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS baseline,
    lag(value) OVER (PARTITION BY subject_id, code ORDER BY measured_at, sample_id) AS previous
FROM labs_converted
