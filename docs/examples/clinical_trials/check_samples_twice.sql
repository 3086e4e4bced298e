SELECT sample_id FROM labs_flagged GROUP BY sample_id HAVING count(*) > 1
