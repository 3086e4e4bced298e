SELECT * FROM subject_summary
