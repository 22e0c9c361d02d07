-- The words of all entries that have text, under their seq. Only the index: the text itself is in `letter`, and
-- whoever changes it there tells the index the old text and the new one. No ranking (columnsize): newest first.
CREATE VIRTUAL TABLE letter_search USING fts5 (
    text,
    content = '',
    columnsize = 0,
    tokenize = 'unicode61 remove_diacritics 2'
);
-- What is taken out is really gone, not only marked.
INSERT INTO letter_search (letter_search, rank) VALUES ('secure-delete', 1);

INSERT INTO letter_search (rowid, text)
SELECT seq, coalesce(edited, json_extract(body, '$.text'))
FROM letter
WHERE role = 0 AND deleted = 0 AND coalesce(edited, json_extract(body, '$.text')) IS NOT NULL
ORDER BY seq;

-- The inbox of all contacts together.
CREATE INDEX letter_received ON letter (seq) WHERE direction = 0 AND role = 0;
