SELECT l.sample_id FROM labs_current AS l LEFT ANTI JOIN labs_coded AS c ON c.sample_id = l.sample_id
