SELECT
    l.*,
    l.value < a.lowest OR l.value > a.highest AS out_of_range,
    coalesce(abs(l.value - l.previous) > 2 * l.previous, FALSE) AS jumps
FROM labs_change AS l
INNER JOIN analyte_codes AS a ON a.code = l.code
