SELECT subject_id FROM subjects_mapped WHERE country IS NULL OR sex IS NULL
