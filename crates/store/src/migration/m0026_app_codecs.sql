-- The codecs of calls that an app handles, the one liked best first; [] where it has no order of its own.

ALTER TABLE sip_control_apps ADD COLUMN codecs TEXT NOT NULL DEFAULT '[]';
