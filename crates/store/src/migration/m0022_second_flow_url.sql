-- Where a call-flow document is asked for when the first URL brings none.

ALTER TABLE sip_control_apps ADD COLUMN call_flow_url2 TEXT;
