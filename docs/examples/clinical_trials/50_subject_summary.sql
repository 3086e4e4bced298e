WITH labs AS (
    SELECT
        subject_id,
        count(*) AS results,
        count(DISTINCT visit_id) AS visits,
        sum(CASE WHEN out_of_range OR jumps THEN 1 ELSE 0 END) AS suspicious,
        TRY_CAST(sum(CASE WHEN code = 'GLUC' AND NOT out_of_range THEN value END) AS DOUBLE)
        / nullif(sum(CASE WHEN code = 'GLUC' AND NOT out_of_range THEN 1 ELSE 0 END), 0) AS mean_glucose
    FROM labs_flagged
    GROUP BY subject_id
),

events AS (
    SELECT subject_key, count(*) AS events, max(severity) AS worst
    FROM events_timed
    GROUP BY subject_key
)

SELECT
    s.subject_key,
    s.site_code,
    s.country,
    s.sex,
    s.age_from,
    coalesce(l.visits, 0) AS visits,
    coalesce(l.results, 0) AS results,
    coalesce(l.suspicious, 0) AS suspicious,
    l.mean_glucose,
    coalesce(e.events, 0) AS events,
    e.worst
FROM subjects_deidentified AS s
LEFT JOIN labs AS l ON l.subject_id = s.subject_id
LEFT JOIN events AS e ON e.subject_key = s.subject_key
