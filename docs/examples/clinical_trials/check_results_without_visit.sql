SELECT l.sample_id FROM labs_flagged AS l LEFT ANTI JOIN visits_done AS v ON v.visit_id = l.visit_id
