-- Who knows neither the address nor the number can't compute the pseudonym; of the age only ten years are left.
SELECT
    subject_id,
    sha2(concat(email, '|', subject_id), 256) AS subject_key,
    site_code,
    country,
    sex,
    year(consented_on) - year(birth_date) - (year(consented_on) - year(birth_date)) % 10 AS age_from,
    consented_on
FROM subjects_mapped
