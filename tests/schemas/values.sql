-- Values that do not fit their column's declared type.
CREATE TABLE dates (id INTEGER PRIMARY KEY, good DATETIME, number DATETIME, other DATETIME, zero DATETIME, day DATE, iso DATE, clock TIME, stamp TIMESTAMP, zone DATETIME, empty DATETIME, mixed DATE);
INSERT INTO dates VALUES (1, '2020-01-02 03:04:05', 1577934245, '02/01/2020', '0000-00-00 00:00:00', '2020-01-02', '20200102', '03:04', '2020-01-02 03:04:05.678', '2020-01-02T03:04:05+02:00', NULL, '2020-01-02');
INSERT INTO dates VALUES (2, NULL, 1577934245.5, 'yesterday', NULL, NULL, 'x', 'noon', CURRENT_TIMESTAMP, NULL, NULL, 5);
CREATE TABLE moments (id INTEGER PRIMARY KEY, space DATETIME, micro TIMESTAMP, t DATETIME, minutes DATETIME, day DATETIME, z DATETIME, nano DATETIME, tenth DATETIME, offset TIME, week DATE);
INSERT INTO moments VALUES (1, '2020-01-02 03:04:05', '2020-01-02 03:04:05.678901', '2020-01-02T03:04:05', '2020-01-02 03:04', '2020-01-02', '2020-01-02T03:04:05Z', '2020-01-02 03:04:05.123456789', '2020-01-02T03:04:05.5', '03:04+02:00', '2020-W01-1');
CREATE TABLE numbers (id INTEGER PRIMARY KEY, money DECIMAL(10,2), exact DECIMAL(10,2), word NUMERIC, huge NUMERIC, tiny NUMERIC, "real" REAL, "int" INTEGER, "float" FLOAT);
INSERT INTO numbers VALUES (1, 12.34, 1.005, 'many', 12345678901234567, 1e-20, 'text', 'text', 1e300);
INSERT INTO numbers VALUES (2, 5, 2, NULL, 1e300, 0.5, x'00', 2.5, 'nan');
CREATE TABLE flags (id INTEGER PRIMARY KEY, good BOOLEAN, letter BOOLEAN, two BOOLEAN, word bool, fine bool);
INSERT INTO flags VALUES (1, 1, 't', 2, 'true', 0), (2, NULL, 'f', 0, 'false', 1);
CREATE TABLE texts (id INTEGER PRIMARY KEY, uuid UUID, guid UNIQUEIDENTIFIER, string STRING, json JSON, broken JSON, number TEXT, blob BLOB, text_blob TEXT, anything, n VARCHAR(3));
INSERT INTO texts VALUES (1, '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'x', '42', '{"a": 1}', '{', 5, 'text in a blob', x'ff', 1, 'longer than three');
INSERT INTO texts VALUES (2, NULL, NULL, 'text', '[1]', NULL, '5', x'00', 'text', x'00', NULL);
CREATE TABLE "empty" (id INTEGER PRIMARY KEY, a DATETIME, b DECIMAL(5,1), c BOOLEAN, d JSON, e UUID, f);
