SELECT v.visit_id, s.subject_id, v.visit_number, v.visited_on, datediff(v.visited_on, s.consented_on) AS study_day
FROM visits AS v
INNER JOIN subjects_deidentified AS s ON s.subject_id = v.subject_id
WHERE v.status = 'done'
