SELECT
    *,
    value - baseline AS change,
    100 * TRY_CAST(value - baseline AS DOUBLE) / nullif(TRY_CAST(baseline AS DOUBLE), 0) AS change_percent
FROM labs_baseline
