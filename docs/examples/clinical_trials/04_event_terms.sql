SELECT verbatim, term
FROM VALUES ('headache', 'Headache'), ('nausea', 'Nausea'), ('rash', 'Rash') AS terms (verbatim, term)
