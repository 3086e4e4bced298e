SELECT subject_key, site_code, country, sex, age_from FROM subjects_deidentified
