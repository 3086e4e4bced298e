SELECT l.sample_id, l.revision, l.subject_id, l.visit_id, a.code, a.analyte, l.value, l.unit, l.measured_at
FROM labs_current AS l
INNER JOIN analyte_codes AS a ON a.code = upper(l.analyte)
