-- Images of users and SIP users that were uploaded. What `avatar` of their owner does not name is of no use.

CREATE TABLE avatars (
    uuid UUID PRIMARY KEY NOT NULL, -- in the image's URL
    created_on TIMESTAMPTZ NOT NULL,
    owner UUID NOT NULL, -- user or SIP user
    content_type TEXT NOT NULL,
    image BYTEA NOT NULL
);

CREATE INDEX avatars_owner ON avatars (owner);
