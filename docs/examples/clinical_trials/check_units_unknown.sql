-- Converting gave nothing: an unknown unit, or a value too large for the column.
SELECT sample_id FROM labs_converted WHERE value IS NULL
