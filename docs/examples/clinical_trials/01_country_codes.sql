-- What sites write, and ISO 3166.
SELECT code, country
FROM VALUES ('DE', 'DEU'), ('FR', 'FRA'), ('US', 'USA'), ('USA', 'USA') AS codes (code, country)
