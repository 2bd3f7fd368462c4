-- One of everything that a table can declare.
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE ON CONFLICT REPLACE, a INT, b INT, UNIQUE (a, b), UNIQUE (b COLLATE NOCASE, code));
CREATE TABLE child (
  id INTEGER NOT NULL PRIMARY KEY, -- a comment
  parent_id INTEGER REFERENCES parent ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED,
  code TEXT CONSTRAINT to_code REFERENCES parent (code) ON DELETE SET DEFAULT,
  a INT, b INT,
  again INTEGER REFERENCES parent (id) MATCH FULL,
  /* and another */ FOREIGN KEY (a, b) REFERENCES parent (a, b) ON UPDATE CASCADE ON DELETE NO ACTION
);
CREATE TABLE strict_one (id INTEGER PRIMARY KEY, any_value ANY, r REAL, b BLOB) STRICT;
CREATE TABLE rowless (a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE both (a TEXT PRIMARY KEY, b INT) STRICT, WITHOUT ROWID;
CREATE TABLE defaults (
  id INTEGER PRIMARY KEY,
  percent TEXT DEFAULT '100%', percent_s TEXT DEFAULT '%s %(x)s', quote TEXT DEFAULT 'it''s', dquote TEXT DEFAULT "double", number DEFAULT -1.5e3,
  hex DEFAULT 0xFF, blob DEFAULT x'00ff', none DEFAULT NULL, yes BOOLEAN DEFAULT TRUE, now DEFAULT CURRENT_TIMESTAMP, expression DEFAULT (abs(-1) + 2),
  colon TEXT DEFAULT ':x', colons TEXT DEFAULT 'a :b:c \:d', json TEXT DEFAULT ('{"a": [1, 2]}'), backslash TEXT DEFAULT '\n\\', newline TEXT DEFAULT 'a
b', braces TEXT DEFAULT '{{ x }} {% y %} ${z}', signed INTEGER DEFAULT +5, word TEXT DEFAULT bare
);
CREATE TABLE checks (
  id INTEGER PRIMARY KEY CHECK (id > 0), flag INTEGER CHECK (flag IN (0, 1)), kind TEXT CHECK (kind IN ('a', 'b''c', ':x', '%')),
  length INTEGER, CONSTRAINT positive CHECK (length > 0 AND length < 100), CHECK (kind <> ':y' OR length % 2 = 0), CHECK (kind LIKE '%x%')
);
CREATE TABLE collated (name TEXT COLLATE NOCASE, other VARCHAR(20) COLLATE RTRIM UNIQUE, odd LONGVARCHAR COLLATE NOCASE, number INTEGER COLLATE BINARY, PRIMARY KEY (name));
CREATE TABLE generated (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED, c TEXT AS (a || ':x %') VIRTUAL, d AS (a + b));
CREATE TABLE conflicts (id INTEGER PRIMARY KEY ON CONFLICT FAIL, a TEXT NOT NULL ON CONFLICT IGNORE, b TEXT UNIQUE ON CONFLICT ABORT, UNIQUE (a, b) ON CONFLICT ROLLBACK);
CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, b TEXT);
CREATE TABLE key_order (a INT, b INT, c INT, PRIMARY KEY (c, a));
CREATE TABLE null_keys (a TEXT PRIMARY KEY, b TEXT);
CREATE TABLE int_key (a INT PRIMARY KEY, b TEXT);
CREATE TABLE no_key (a, b TEXT, c INT UNIQUE);
CREATE TABLE untyped (a PRIMARY KEY, b, c);
CREATE TABLE lost_child (id INTEGER PRIMARY KEY, gone INTEGER REFERENCES nowhere (id), bad INTEGER REFERENCES parent (missing), keyless TEXT REFERENCES no_key);
CREATE TABLE joined (id INTEGER PRIMARY KEY REFERENCES parent (id), extra TEXT);
CREATE TABLE cycle_a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES cycle_b (id));
CREATE TABLE cycle_b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES cycle_a (id), c INTEGER REFERENCES cycle_c (id));
CREATE TABLE cycle_c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES cycle_a (id));
CREATE TABLE tree (id INTEGER PRIMARY KEY, tenant INT, parent INT, UNIQUE (tenant, id), FOREIGN KEY (tenant, parent) REFERENCES tree (tenant, id));
CREATE TABLE codes (id INTEGER PRIMARY KEY, code TEXT UNIQUE, up TEXT REFERENCES codes (code));
CREATE TABLE twice (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) REFERENCES parent (id), q INTEGER, FOREIGN KEY (q) REFERENCES parent (id), FOREIGN KEY (q) REFERENCES parent (a));
CREATE TABLE many_a (id INTEGER PRIMARY KEY);
CREATE TABLE many_b (id INTEGER PRIMARY KEY);
CREATE TABLE a_and_b (a_id INTEGER REFERENCES many_a (id), b_id INTEGER REFERENCES many_b (id), PRIMARY KEY (a_id, b_id));
CREATE TABLE a_and_a (one_id INTEGER REFERENCES many_a (id), other_id INTEGER REFERENCES many_a (id));
CREATE TABLE overlap (tenant INT, x INT, y INT, PRIMARY KEY (tenant, x), FOREIGN KEY (tenant, x) REFERENCES target_x (tenant, id), FOREIGN KEY (tenant, y) REFERENCES target_y (tenant, id));
CREATE TABLE target_x (tenant INT, id INT, PRIMARY KEY (tenant, id));
CREATE TABLE target_y (tenant INT, id INT, PRIMARY KEY (tenant, id));
CREATE TABLE odd_types (id INTEGER PRIMARY KEY, a INT UNSIGNED, b "odd type"(3), c VARCHAR(10, 2), d DECIMAL(10,2), e character varying(20), f TIMESTAMP WITH TIME ZONE, g 'quoted', h FLOAT(5), i 数字, j UUID, k JSON, m Numeric ( 5 ), n BIT, o double precision, p TEXT(20));
CREATE INDEX plain ON child (parent_id);
CREATE INDEX ix_child_code ON child (code);
CREATE UNIQUE INDEX unique_partial ON parent (code) WHERE a IS NOT NULL AND code LIKE '%:x';
CREATE INDEX by_expression ON parent (lower(code), a DESC, b COLLATE NOCASE DESC, abs(b) DESC);
CREATE INDEX "ix_collated_name" ON collated (name COLLATE BINARY);
CREATE INDEX same_collation ON collated (name COLLATE NOCASE);
CREATE VIEW simple AS SELECT * FROM parent;
CREATE VIEW of_view (x, y) AS SELECT id, code FROM simple -- ends with a comment
;
CREATE TRIGGER instead INSTEAD OF INSERT ON simple BEGIN INSERT INTO parent (code) VALUES (new.code); END;
CREATE TRIGGER after_update AFTER UPDATE OF code ON parent WHEN new.code <> ';END' BEGIN DELETE FROM child WHERE parent_id = CASE WHEN old.id THEN old.id END; SELECT 1; END;
CREATE VIRTUAL TABLE search USING fts5 (title, body, tokenize = 'porter unicode61');
CREATE VIRTUAL TABLE "old search" USING fts4 (title, content);
CREATE TABLE mail_content (id INTEGER PRIMARY KEY, subject TEXT);
CREATE VIRTUAL TABLE mail USING fts5 (subject, content = 'mail_content', content_rowid = 'id');
CREATE TRIGGER filed AFTER INSERT ON mail_content BEGIN INSERT INTO mail (rowid, subject) VALUES (new.id, new.subject); END;
CREATE INDEX 'by subject' ON 'mail_content' ('subject');
CREATE INDEX of_shadow ON "old search_content" (c0title);
CREATE TRIGGER on_shadow AFTER INSERT ON "old search_content" BEGIN SELECT 1; END;
CREATE VIRTUAL TABLE boxes USING rtree (id, min_x, max_x);
PRAGMA user_version = 42;
PRAGMA application_id = 1234;
INSERT INTO parent (code, a, b) VALUES ('x', 1, 2);
INSERT INTO search VALUES ('a', 'b');
