-- Exact decimals: sums don't depend on the order in which tasks add them up.
SELECT
    l.sample_id,
    l.revision,
    l.subject_id,
    l.visit_id,
    l.code,
    l.analyte,
    a.unit,
    TRY_CAST(TRY_CAST(l.value AS DECIMAL(10, 1)) * f.factor AS DECIMAL(16, 5)) AS value,
    l.measured_at
FROM labs_coded AS l
INNER JOIN analyte_codes AS a ON a.code = l.code
LEFT JOIN unit_factors AS f ON f.code = l.code AND f.unit = l.unit
