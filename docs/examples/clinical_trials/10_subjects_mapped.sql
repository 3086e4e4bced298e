SELECT
    s.subject_id,
    s.site_code,
    c.country,
    CASE WHEN upper(s.sex) IN ('F', 'FEMALE') THEN 'F' WHEN upper(s.sex) IN ('M', 'MALE') THEN 'M' END AS sex,
    s.birth_date,
    s.full_name,
    s.email,
    s.consented_on
FROM subjects AS s
LEFT JOIN country_codes AS c ON c.code = upper(s.country)
