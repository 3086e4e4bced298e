SELECT code, unit, factor
FROM VALUES
    ('GLUC', 'mmol/L', 1.0000),
    ('GLUC', 'mg/dL', 0.0555),
    ('HGB', 'g/dL', 1.0000),
    ('CREA', 'umol/L', 1.0000)
    AS factors (code, unit, factor)
