-- What is in 0001.db: one row of everything the first schema knew, as the first version wrote it.
INSERT INTO person (num, id) VALUES
    (1, x'b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0'),
    (2, x'cacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacaca');

INSERT INTO contact VALUES (
    1, 'Bob', 'bob', 0,
    '{"contact":"b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0","name":"Robert","noise_key":"0303030303030303030303030303030303030303030303030303030303030303","version":5,"issued":1790000000000,"addresses":["sremp://bob.example:7300"]}',
    '["sremp://bob.example:7300"]', 1790000000001, 0, 1, 1790000000002, x'09090909090909090909090909090909'
);

-- 1 and 2: said and answered; 3 deleted; 4 edited by 5, with the reaction 6; 7 and 8 of Carol, who is no contact.
INSERT INTO letter (seq, person, direction, id, sent, stored, role, body, target, edited, deleted, reacted, state,
                    reason, protection, wire, read, from_request) VALUES
    (1, 1, 1, x'00000000000000000000000000000001', 1790000000000, 1790000000000, 0,
     '{"kind":"text","text":"shall we take the ferry"}', NULL, NULL, 0, 0, 4, NULL, 7, 'sremp', NULL, 0),
    (2, 1, 0, x'00000000000000000000000000000002', 1790000000010, 1790000000011, 0,
     '{"kind":"reply","to":"00000000000000000000000000000001","text":"yes, the Ferry"}', NULL, NULL, 0, 0, 0, NULL, 15,
     'sremp', 1790000000012, 0),
    (3, 1, 0, x'00000000000000000000000000000003', 1790000000020, 1790000000021, 0,
     '{"kind":"text","text":""}', NULL, NULL, 1, 0, 0, NULL, 7, 'sremp', NULL, 0),
    (4, 1, 1, x'00000000000000000000000000000004', 1790000000030, 1790000000031, 0,
     '{"kind":"text","text":"at nine"}', NULL, 'at ten, ferry two', 0, 1, 5, 'expired', 7, NULL, NULL, 0),
    (5, 1, 1, x'00000000000000000000000000000005', 1790000000040, 1790000000041, 1,
     '{"kind":"edit","to":"00000000000000000000000000000004","text":"at ten, ferry two"}',
     x'00000000000000000000000000000004', NULL, 0, 0, 0, NULL, 0, NULL, NULL, 0),
    (6, 1, 0, x'00000000000000000000000000000006', 1790000000050, 1790000000051, 3,
     '{"kind":"reaction","to":"00000000000000000000000000000004","emoji":"ok"}',
     x'00000000000000000000000000000004', NULL, 0, 0, 0, NULL, 7, 'sremp', NULL, 0),
    (7, 2, 0, x'00000000000000000000000000000007', 1790000000060, 1790000000061, 0,
     '{"kind":"file","name":"ferry.png","size":5,"media_type":"image/png","sha256":"00"}', NULL, NULL, 0, 0, 0, NULL, 0,
     'sremp', NULL, 1),
    (8, 2, 0, x'00000000000000000000000000000008', 1790000000070, 1790000000071, 0,
     '{"kind":"text","text":"zero \u0000 ferry"}', NULL, NULL, 0, 0, 0, NULL, 0, 'sremp', NULL, 1);

INSERT INTO outbox VALUES (5, 1, 2, 1790000000100, 1790000000041);
INSERT INTO route VALUES (1, 1, 'sremp', 'sremp://bob.example:7300', 1790000000001, 1790000000002, 'delivered', 7);
INSERT INTO trace VALUES (1, 1, 1790000000000, 'queued', NULL), (1, 2, 1790000000002, 'delivered', 1);
INSERT INTO invite VALUES (x'0101010101010101010101010101010101010101010101010101010101010101', 1, 2, 'for Dan');
INSERT INTO warning VALUES (1, 1, 1790000000003, 'identity_fork', 'two identities', 0);
INSERT INTO setting VALUES ('card.version', '3');
INSERT INTO record VALUES ('sremp/session', x'b0', x'0102');
