SELECT
    s.subject_key,
    l.sample_id,
    l.revision,
    v.visit_number,
    v.study_day,
    l.code,
    l.analyte,
    l.unit,
    l.value,
    l.baseline,
    l.change,
    l.change_percent,
    l.out_of_range,
    l.jumps
FROM labs_flagged AS l
INNER JOIN visits_done AS v ON v.visit_id = l.visit_id
INNER JOIN subjects_deidentified AS s ON s.subject_id = l.subject_id
