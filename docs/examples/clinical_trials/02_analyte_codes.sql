-- The unit results are converted to, and the range beyond which a result can't be right.
SELECT code, analyte, unit, lowest, highest
FROM VALUES
    ('GLUC', 'Glucose', 'mmol/L', 0.3, 60.0),
    ('HGB', 'Hemoglobin', 'g/dL', 2.0, 25.0),
    ('CREA', 'Creatinine', 'umol/L', 5.0, 2000.0)
    AS codes (code, analyte, unit, lowest, highest)
