-- Names that mean something in Python, in SQLAlchemy, or in SQL, and names that nobody should choose.
CREATE TABLE base (id INTEGER PRIMARY KEY, metadata TEXT, registry TEXT, "optional" TEXT);
CREATE TABLE metadata (id INTEGER PRIMARY KEY, base_id INTEGER REFERENCES base (id));
CREATE TABLE optional (id INTEGER PRIMARY KEY, "Optional" INTEGER, Mapped TEXT, mapped_column TEXT);
CREATE TABLE Mapped (id INTEGER PRIMARY KEY, "str" TEXT, "int" INTEGER, "list" TEXT, "bool" BOOLEAN, datetime DATETIME, day DATE);
CREATE TABLE "table" (id INTEGER PRIMARY KEY, "select" TEXT, "from" TEXT, "order" INTEGER);
CREATE TABLE "class" (id INTEGER PRIMARY KEY, "def" TEXT, "None" TEXT, "import" TEXT, "lambda" TEXT, "__init__" TEXT, "__tablename__" TEXT);
CREATE TABLE foo_bar (id INTEGER PRIMARY KEY);
CREATE TABLE FooBar (id INTEGER PRIMARY KEY, foo_bar INTEGER REFERENCES foo_bar (id));
CREATE TABLE declared (id INTEGER PRIMARY KEY, x INT, any, AsStored TEXT);
CREATE TABLE "with space" ("a b" INTEGER PRIMARY KEY, "a-b" TEXT, "a_b" TEXT, "a.b" TEXT);
CREATE TABLE "it's ""quoted""" ("col""umn" TEXT PRIMARY KEY, 'single' TEXT, [brackets] TEXT, `ticks` TEXT);
CREATE TABLE "new
line" ("line
break" INTEGER PRIMARY KEY, "tab	here" TEXT);
CREATE TABLE "😀" ("🐍" INTEGER PRIMARY KEY, "émoji ²" TEXT DEFAULT '😀');
CREATE TABLE "dotted.name" (id INTEGER PRIMARY KEY, "dotted.column" INTEGER UNIQUE);
CREATE TABLE to_dotted (id INTEGER PRIMARY KEY, a INTEGER REFERENCES "dotted.name" (id), b INTEGER REFERENCES "dotted.name" ("dotted.column"));
CREATE TABLE "1st" ("2nd" INTEGER PRIMARY KEY, "3rd" TEXT, " " TEXT, "_" TEXT, "__" TEXT);
CREATE TABLE "__import__('os').system('touch pwned')" (id INTEGER PRIMARY KEY, "'); raise SystemExit(" TEXT DEFAULT '""" + exit() + """');
CREATE TABLE "a%(b)s" ("%s" TEXT, ":name" TEXT, "?" TEXT, "{x}" TEXT, "\n" TEXT, PRIMARY KEY ("%s"));
CREATE TABLE "ﬁ" (id INTEGER PRIMARY KEY, "ﬁ" TEXT, fi TEXT);
CREATE TABLE selfish (id INTEGER PRIMARY KEY, selfish INTEGER REFERENCES selfish (id), other INTEGER REFERENCES selfish (id));
CREATE TABLE link ("left" INTEGER REFERENCES "with space" ("a b"), "__import__('os')" INTEGER REFERENCES "😀" ("🐍"));
CREATE TABLE model_dump (id INTEGER PRIMARY KEY, json TEXT, copy TEXT, schema TEXT, model_config TEXT, "dict" TEXT, _private TEXT, fields TEXT);
CREATE TABLE "I" (id INTEGER PRIMARY KEY, l TEXT, "O" TEXT, l_id INTEGER REFERENCES base (id), model_dump TEXT, model_validate_all TEXT);
CREATE TABLE trigger (id INTEGER PRIMARY KEY, temp TEXT, view TEXT);
CREATE TABLE view (id INTEGER PRIMARY KEY, trigger INTEGER REFERENCES trigger (id));
CREATE INDEX "index; DROP TABLE base" ON base ("optional");
CREATE INDEX "idx ' quote" ON "table" ("select") WHERE "from" = ':x' AND "order" > 1;
CREATE VIEW "view's" AS SELECT id, ':p %s {}' AS "'); DROP TABLE base; --" FROM base;
CREATE VIEW temp AS SELECT trigger FROM view;
CREATE TRIGGER "trigger's" AFTER INSERT ON base BEGIN UPDATE base SET metadata = 'a;b -- /* "' WHERE id = new.id; SELECT ':x %s'; END;
INSERT INTO Mapped VALUES (1, 'a', 2, 'x', 1, '2020-01-02 03:04:05', '2020-01-02');
INSERT INTO "a%(b)s" VALUES ('1', '2', '3', '4', '5');
INSERT INTO "new
line" VALUES (1, 'x');
