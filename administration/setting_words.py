"""What each setting means, in plain words. Written by tools/setting_words.py from docs/configuration.md."""

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, str]] = {
    "PACS_DATA": "Folder for everything that is kept on this machine; see operations.",
    "PACS_DATABASE_URL": (
        "A PostgreSQL server that offers the pg_trgm extension. Query parameters are libpq's, such as sslmode=require; "
        "?host=/folder names a unix socket. ./pacs up starts a PostgreSQL of its own unless this is set."
    ),
    "PACS_DATABASE_PREPARE": (
        "Frequent statements are planned once a database connection. Set it to false behind a pooler that gives each "
        "transaction another connection, such as PgBouncer in transaction mode."
    ),
    "PACS_REDIS_URL": (
        "Valkey or Redis for the task queue: redis:// or unix:///path. ./pacs up starts a Valkey of its own unless "
        "this is set."
    ),
    "PACS_WORKER_NICENESS": (
        "How far tasks (thumbnails, metadata, transcoding) step back behind requests on the same machine: 0 (not at "
        "all) to 19."
    ),
    "PACS_OBJECT_STORE": "Where DICOM objects lie: file (in the data folder) or s3.",
    "PACS_S3__ENDPOINT_URL": "Address of the S3 server; empty for AWS.",
    "PACS_S3__BUCKET": "The bucket. It must exist.",
    "PACS_S3__REGION": "Region.",
    "PACS_S3__ACCESS_KEY_ID": "Key; empty to let boto3 find credentials where it usually does.",
    "PACS_S3__SECRET_ACCESS_KEY": "Secret of that key.",
    "PACS_S3__PREFIX": "Folder inside the bucket.",
    "PACS_STORE_WHEN_DOWN": (
        "What becomes of objects that are stored while S3 is away: refuse (503, the sender keeps them) or spool (kept "
        "on this machine's disk, in one copy, until S3 is back; see operations)."
    ),
    "PACS_READ_ONLY_BELOW_BYTES": (
        "With less free disk in the data folder nothing more is stored, until twice as much is free; 0: never."
    ),
    "PACS_S3__ENCRYPTION": (
        "What S3 is told to encrypt each object with: sse-s3 or sse-kms; empty: what the bucket says."
    ),
    "PACS_S3__KMS_KEY_ID": "The key of sse-kms; empty: the account's own for S3.",
    "PACS_S3__STORAGE_CLASS": "Storage class of new objects, such as STANDARD_IA; empty: the bucket's own.",
    "PACS_ENCRYPTION__AT_REST": "Every new object is encrypted with a key of its own, in files and in S3.",
    "PACS_ENCRYPTION__ONLY_SEALED": (
        "An object in plaintext is refused, wherever it lies: once everything is encrypted."
    ),
    "PACS_ENCRYPTION__KEYRING": (
        "File of the keys that protect those of the objects; empty: secrets/keyring.json in the data folder. Keep a "
        "copy elsewhere."
    ),
    "PACS_TIERS__WARM__FOLDER": (
        "Folder of the warm tier, on another file system. With neither folder nor bucket there is no such tier."
    ),
    "PACS_TIERS__WARM__S3": (
        "Or its bucket, as JSON with the fields of PACS_S3__ in small letters; single fields may be set as variables "
        "of their own."
    ),
    "PACS_TIERS__WARM__RECALL": "Its objects are brought back before anybody reads them; until then 503.",
    "PACS_TIERS__WARM__RECALL_SECONDS": "How long readers are told to wait for that.",
    "PACS_TIERS__WARM__RESTORE_DAYS": "How long an S3 archive keeps the copy that it restored.",
    "PACS_TIERS__WARM__RESTORE_SPEED": "Retrieval option of an S3 archive, such as Bulk or Expedited.",
    "PACS_TIERS__COLD__FOLDER": (
        "Folder of the cold tier, on another file system. With neither folder nor bucket there is no such tier."
    ),
    "PACS_TIERS__COLD__S3": (
        "Or its bucket, as JSON with the fields of PACS_S3__ in small letters; single fields may be set as variables "
        "of their own."
    ),
    "PACS_TIERS__COLD__RECALL": "Its objects are brought back before anybody reads them; until then 503.",
    "PACS_TIERS__COLD__RECALL_SECONDS": "How long readers are told to wait for that.",
    "PACS_TIERS__COLD__RESTORE_DAYS": "How long an S3 archive keeps the copy that it restored.",
    "PACS_TIERS__COLD__RESTORE_SPEED": "Retrieval option of an S3 archive, such as Bulk or Expedited.",
    "PACS_TIERS__ROWS": "The table that says which tier an object belongs in, as a JSON list of rows.",
    "PACS_TIERS__HOURS": "Hours in which objects move by themselves, such as 22-5; empty: only by command.",
    "PACS_TIERS__RECALL_PRIORS_DAYS": (
        "Studies of patients with an order within so many days are brought back by themselves; 0: never."
    ),
    "PACS_COPIES__FOLDER": (
        "Folder of the second store, on another file system. With neither folder nor bucket there is no second store."
    ),
    "PACS_COPIES__S3": (
        "Or its bucket, as JSON with the fields of PACS_S3__ in small letters; single fields may be set as variables "
        "of their own."
    ),
    "PACS_COPIES__BEFORE_ACKNOWLEDGEMENT": (
        "An object is in both stores before its sender hears of it; while one is away, storing is refused."
    ),
    "PACS_SCRUB__DAYS": "Days in which every object is read again and compared; 0: only by command.",
    "PACS_SCRUB__BYTES_PER_SECOND": "The most that is read again, a second on average.",
    "PACS_SCRUB__BUSY_PERCENT": "It waits while others use more of the processors, in percent; 100: it never does.",
    "PACS_SCRUB__REPAIR": "Damage is repaired from the second store by itself.",
    "PACS_PUBLIC_ROOT": (
        "Scheme and host as clients see them, without a path. https:// switches on what needs TLS. ./pacs up sets it "
        "from --host and --port unless it is set."
    ),
    "PACS_ALLOWED_HOSTS": (
        "Further host names that requests may be addressed to (JSON list). The host of the public root is always "
        "allowed. Other names get 400."
    ),
    "PACS_TRUSTED_PROXIES": (
        "Addresses or networks (JSON list) whose X-Forwarded-For and X-Forwarded-Proto are believed; unix for a proxy "
        "on a unix socket. Decides the client's address in the trail and in the throttle of sign-ins."
    ),
    "PACS_CORS_ORIGINS": (
        "Origins (JSON list) of web viewers served from elsewhere that may call /dicom-web and /oauth from a browser, "
        "with a Bearer token."
    ),
    "PACS_SECRET_KEY": (
        "Signs sessions and forms, and seals the secrets of authenticator apps: with another one these, and recovery "
        "codes, have to be set up anew. Empty: made once and kept in the data folder. All processes of one "
        "installation need the same."
    ),
    "PACS_VIEWER_DIR": "Folder of the prepared OHIF viewer; empty: viewer in the data folder.",
    "PACS_IDLE_MINUTES": "Minutes without a request after which a person's session ends.",
    "PACS_IDLE_MINUTES_BY_ROLE": (
        'Other minutes for people with some roles, as JSON: {"administrator": 5, "radiologist": 30}. Of several the '
        "shortest counts."
    ),
    "PACS_SESSION_HOURS": "Hours after which a person's session ends in any case.",
    "PACS_SECOND_FACTOR": (
        "Who must sign in with a second factor beside the password: optional (who wants to), required (everybody) or a "
        'JSON list of roles, such as ["administrator", "radiologist"]. Sign-in by single sign-on is not asked for it.'
    ),
    "PACS_ACCESS_TOKEN_SECONDS": "Seconds for which a token of a client or an app is good.",
    "PACS_APP_SESSION_HOURS": "Hours that an app may act for a person before it has to ask again.",
    "PACS_EMERGENCY_HOURS": "The longest that an emergency access may last; 4 at the most.",
    "PACS_ALERT_EMAIL": "Who is written to when there is an alert (JSON list of addresses).",
    "PACS_ALERT_WEBHOOK__URLS": "Where alerts are posted as well: https:// addresses (JSON list).",
    "PACS_ALERT_WEBHOOK__HOSTS": "The only hosts that these addresses may name (JSON list).",
    "PACS_ALERT_WEBHOOK__SECRET": (
        "With which each message is signed; 24 characters or more. What begins with whsec_ is base64."
    ),
    "PACS_ALERT_WEBHOOK__PRIVATE_NETWORKS": (
        "Networks that are not public and may be connected to all the same, also without TLS (JSON list, 10.1.0.0/16)."
    ),
    "PACS_ALERT_WEBHOOK__CA_FILE": "Who signs the certificates of the receivers, if nobody does whom everybody knows.",
    "PACS_EMAIL_URL": (
        "The mail server: smtp://user:password@host:587?tls=yes, or smtps:// for TLS from the start. Empty: no mails."
    ),
    "PACS_EMAIL_FROM": "Who these mails are from.",
    "PACS_DORMANT_DAYS": "Days without use after which an account is called dormant.",
    "PACS_DORMANT_SWITCH_OFF": "The daily upkeep ends dormant accounts.",
    "PACS_DELETE_GRACE_DAYS": "Days for which what was deleted can be brought back; then its objects are removed.",
    "PACS_RETENTION__CONFIRM_DAYS": "Days in which a plan of retention may be confirmed; 90 at the most.",
    "PACS_RETENTION__BATCH_STUDIES": "Studies of a confirmed plan that go in one turn.",
    "PACS_RETENTION__PAUSE_SECONDS": "Seconds between two turns.",
    "PACS_QUOTA__SITES": (
        'How many bytes may be kept of the studies of one institution, by its name (JSON): {"North Clinic": '
        "50000000000}. What goes beyond is refused (A700); nothing stored: 507. Counted anew every 30 seconds."
    ),
    "PACS_QUOTA__CLIENTS": "How many bytes a client may store in 30 days, by its id (JSON). Then 507.",
    "PACS_KEEP__CHANGE_FEED_DAYS": (
        "Days for which entries of the change feed are kept; 0: for ever. Whoever asks for what came after an entry "
        "that is gone gets 410."
    ),
    "PACS_KEEP__HL7_DAYS": (
        "Days for which HL7 messages that were applied, or delivered, are kept; 0: for ever. What waits for somebody "
        "stays."
    ),
    "PACS_KEEP__STATE_EVENT_DAYS": (
        "Days for which it is kept when orders, steps and reports went from one state to the next; 0: for ever."
    ),
    "PACS_KEEP__OUTBOX_DEAD_DAYS": "Days for which tasks that failed are kept for somebody to see; 0: for ever.",
    "PACS_AT_REST__TRANSFER_SYNTAX": (
        "In which transfer syntax what came uncompressed is written a second time: JPEG2000Lossless, HTJ2KLosslessRPCL "
        "(faster, a little larger) or off."
    ),
    "PACS_AT_REST__ROWS": (
        'Further rows of the policy table, read before the default one (JSON list): ["US,XA RGB * uncompressed -> '
        'keep", "* * * compressed -> HTJ2KLosslessRPCL"].'
    ),
    "PACS_AT_REST__DELAY_SECONDS": "Seconds for which a series is left alone after its last object.",
    "PACS_AT_REST__TURN_SECONDS": "Seconds after which one series lets other tasks go first.",
    "PACS_AT_REST__AT_ONCE": (
        "Series that all workers together transcode at a time. Keep it below the number of worker processes."
    ),
    "PACS_AT_REST__BUSY_PERCENT": (
        "While others use more than this share of the machine's processors nothing is transcoded at rest; 100: it "
        "never waits for that."
    ),
    "PACS_AT_REST__NICENESS": "How far the codecs step back behind everybody else: 0 (not at all) to 19.",
    "PACS_AT_REST__DROP_ORIGINALS": (
        "The representation takes the place of the original, once every frame of both has been compared a second time. "
        "**The object as it was received is then removed** after PACS_DELETE_GRACE_DAYS."
    ),
    "PACS_AT_REST__DROP_AFTER_DAYS": "Days that a representation must be old before it may do so.",
    "PACS_AT_REST__NEVER_LOSSY": "Modalities (JSON list) of which ./pacs transcode --lossy makes no copies.",
    "PACS_WORKLIST__QUIET_SECONDS": "Seconds without a new image after which a study is complete, and its order.",
    "PACS_HL7__HOST": "The address on which the HL7 listener takes messages.",
    "PACS_HL7__PORT": "Its port for plain MLLP; 0: none.",
    "PACS_HL7__TLS_PORT": "Its port for MLLP over TLS, usually 2576; 0: none. Senders need a certificate there.",
    "PACS_HL7__CERTIFICATE": "The listener's certificate, PEM, with what leads to its root.",
    "PACS_HL7__KEY": "Its private key.",
    "PACS_HL7__CA_FILE": "Who signs the certificates of senders, PEM.",
    "PACS_HL7__ALLOW": "Networks (JSON list) that may use the plain port.",
    "PACS_HL7__CONNECTIONS": (
        "Connections that are open at a time. When all are taken, the oldest that never sent a message is closed for a "
        "new one, else the one that has been quiet for longest."
    ),
    "PACS_HL7__IDLE_SECONDS": "Seconds after which a quiet connection is closed.",
    "PACS_HL7__FIRST_SECONDS": "Seconds in which a new connection begins its first message.",
    "PACS_HL7__FRAME_SECONDS": "Seconds in which a message, once begun, has to be complete.",
    "PACS_HL7__FRAME_BYTES": "The largest message in bytes, over HTTP too.",
    "PACS_HL7__BUFFER_BYTES": "Bytes of unfinished messages that all connections hold together.",
    "PACS_HL7__THREADS": "Messages that are applied at the same time.",
    "PACS_HL7_OUT__NETWORKS": (
        "Networks that destinations of HL7 messages may be in (JSON list, 10.20.0.0/16): private ones, and any that "
        "are sent to without TLS."
    ),
    "PACS_HL7_OUT__CERTIFICATE": (
        "The certificate that is shown to destinations by TLS, PEM, with what leads to its root."
    ),
    "PACS_HL7_OUT__KEY": "Its private key.",
    "PACS_HL7_OUT__CONNECT_SECONDS": "Seconds in which a connection to a destination has to be made.",
    "PACS_HL7_OUT__ANSWER_SECONDS": "Seconds in which a message has to be answered.",
    "PACS_HL7_OUT__RETRY_SECONDS": "Seconds until the second attempt; then twice as long each time.",
    "PACS_HL7_OUT__LONGEST_RETRY_SECONDS": "Seconds between two attempts, at most.",
    "PACS_HL7_OUT__ATTEMPTS": "Attempts after which a message is given up.",
    "PACS_HL7_OUT__BLOCKED_SECONDS": "Seconds that a message may wait before an alert is raised.",
    "PACS_WORKITEMS__LEASE_MINUTES": (
        "Minutes after which a claim of a workitem without an update has lapsed: subscribers are told, and whoever "
        "manages workitems may take it away."
    ),
    "PACS_WORKITEMS__KEEP_DAYS": (
        "Days in which a workitem that has ended, and that no deletion lock holds, is still shown."
    ),
    "PACS_WORKITEMS__EVENT_DAYS": "Days in which an event of a workitem can be sent again.",
    "PACS_WORKITEMS__CHANNELS": "Event channels (WebSockets) that a web process keeps open.",
    "PACS_WORKITEMS__CHANNELS_EACH": "Of these, those of one person or machine.",
    "PACS_WORKITEMS__PING_SECONDS": (
        "Seconds between two questions whether a subscriber is still there; after two and a half times as many without "
        "a sign it is let go."
    ),
    "PACS_WORKITEMS__STALLED_SECONDS": "Seconds after which a subscriber that reads nothing of what is sent is let go.",
    "PACS_COMMITMENT_READS_OBJECTS": "Storage commitment also reads each object and compares its SHA-256.",
    "PACS_PICTURE_FONT": (
        "A TrueType or OpenType file with the letters that pictures of reports lack otherwise, such as Chinese ones; "
        "the text of reports has them anyway."
    ),
    "PACS_TIME_ZONE": (
        "The clock of studies that don't name theirs: an IANA name (Europe/Berlin, if this machine knows it) or an "
        "offset (+0100). Used by searches that name an offset; empty: such studies are found by the clock of whoever "
        "asks."
    ),
    "PACS_LOG_FORMAT": "json makes every line of the logs one JSON object, for machines; see logs.",
    "PACS_LOG_REQUESTS": (
        "A line of the log for each request: the name of its route, never its address, and who asked as a number."
    ),
    "PACS_METRICS__TOKEN": (
        "The Bearer token of whoever scrapes /metrics. Made in PACS_DATA/secrets/metrics_token unless it is set, where "
        "that folder is there, as it is with ./pacs up."
    ),
    "PACS_METRICS__ALLOW": "Networks that may scrape without a token, as a JSON list.",
    "PACS_METRICS__HOST": "The address of PACS_METRICS__PORT.",
    "PACS_METRICS__PORT": (
        "Where worker, relay and HL7 listener tell what they count, each on a host (or in a pod) of its own, to "
        "whoever shows the token; 0: nowhere."
    ),
    "PACS_METRICS__FOLDER": (
        "The folder in which the processes of a host count, on a local disk; empty: metrics in the data folder."
    ),
    "PACS_METRICS__GAUGE_SECONDS": "Figures of the database are at most so old.",
    "PACS_METRICS__SLOW_MS": "Requests that take so many milliseconds stand on the page *Speed*.",
    "PACS_METRICS__SERVER_TIMING": "Tell those who are signed in where the time went.",
    "PACS_DEBUG": "Django's debug pages. Never on a machine that others reach.",
    "PACS_LIMITS__STORE_PART_BYTES": (
        "Bytes of one stored object; a larger one is refused (A700), the others of the request are not."
    ),
    "PACS_LIMITS__STORE_PARTS": "Parts of one Store request; more: 400. What was stored before stays.",
    "PACS_LIMITS__STORE_BATCH_INSTANCES": "Instances made durable and visible together.",
    "PACS_LIMITS__STORE_BATCH_BYTES": "Bytes after which a batch is closed earlier.",
    "PACS_LIMITS__SEARCH_LIMIT": "Most answers of one search, whatever limit asks for.",
    "PACS_LIMITS__STORE_METADATA_BYTES": (
        "Bytes of the metadata of one Store request that sends them apart from the bulk data; more: 400."
    ),
    "PACS_LIMITS__SEARCH_DEFAULT_LIMIT": "Answers of a search without limit.",
    "PACS_LIMITS__SEARCH_PARAMETERS": "Parameters of one search; more: 400.",
    "PACS_LIMITS__SEARCH_VALUE_CHARACTERS": "Characters of the value of one of them; more: 400.",
    "PACS_LIMITS__FRAMES_PER_REQUEST": "Frame numbers in one request; more: 400.",
    "PACS_LIMITS__PICTURES_PER_REQUEST": (
        "Rendered pictures of a study, a series or a list of frames in one request; more: 400."
    ),
    "PACS_LIMITS__PICTURE_HEADER_BYTES": "Bytes before the pixel data that are read to draw a picture; more: 406.",
    "PACS_LIMITS__CINE_FRAMES": "Frames in one moving picture; of more, some are left out, in a list of frames: 400.",
    "PACS_LIMITS__CINE_PIXELS": "Pixels of all frames of a moving picture together; with more it is made smaller.",
    "PACS_LIMITS__DECODINGS": (
        "Frames that each web process and worker decodes or draws at a time, each in a process of its own; 0: as many "
        "as there are cores, at least 2. A frame at the limit of samples takes more than a gigabyte (1.1 GB was "
        "measured for 11,000 x 11,000)."
    ),
    "PACS_LIMITS__DECODING_WAIT_SECONDS": "Seconds that others wait for their turn; then 503.",
    "PACS_LIMITS__CODEC_SECONDS": (
        "Seconds of a processor that a codec may take for one frame; in all, it may last three times as long. Beyond "
        "it the codec's process is ended: 406."
    ),
    "PACS_LIMITS__CODEC_BYTES": (
        "Bytes of memory that a codec's process may take beyond those that it starts with; more: 406."
    ),
    "PACS_LIMITS__FRAME_CACHE_BYTES": (
        "Bytes of decoded frames that each web process keeps in memory, so that many viewers of one frame cost one "
        "decoding; 0: none are kept."
    ),
    "PACS_LIMITS__COMMITMENT_REFERENCES": "Instances in one storage commitment request; more: 413.",
    "PACS_LIMITS__COMMITMENT_BYTES": "Bytes of such a request; more: 413.",
    "PACS_LIMITS__STATEMENT_SECONDS": "Seconds after which PostgreSQL ends one statement.",
    "PACS_LIMITS__SEARCH_SECONDS": "Seconds for a search or the study list, but for look-ups by a key; then 503.",
    "PACS_LIMITS__SILENCE_SECONDS": "Seconds without a byte of a body, after which its sender is taken for dead: 400.",
    "PACS_LIMITS__ARCHIVE_BYTES": (
        "Bytes of all objects kept, deleted ones until they are swept; 0: no quota. What goes beyond is refused "
        "(A700); nothing stored: 507."
    ),
    "PACS_LIMITS__SEQUENCE_DEPTH": (
        "Nesting of sequences in one object; 200 at most. This and all below: beyond it a stored object is refused "
        "(C000), a frame isn't decoded (406)."
    ),
    "PACS_LIMITS__ELEMENTS": "Elements and items of one object.",
    "PACS_LIMITS__INLINE_BYTES": "Bytes of the values of one object that metadata carry inline.",
    "PACS_LIMITS__JSON_BYTES": "Bytes of the DICOM JSON of one object.",
    "PACS_LIMITS__JSON_RATIO": "The same as a multiple of the object's size, plus 4 MiB.",
    "PACS_LIMITS__XML_BYTES": "Bytes of one XML document that is stored as metadata.",
    "PACS_LIMITS__FRAGMENTS": "Fragments of encapsulated pixel data.",
    "PACS_LIMITS__INFLATED_BYTES": "Bytes to which a deflated data set may inflate.",
    "PACS_LIMITS__INFLATE_RATIO": "The same as a multiple of its compressed size, beyond 16 MiB.",
    "PACS_LIMITS__FRAME_SAMPLES": "Samples of a frame that is decoded.",
    "PACS_LIMITS__FRAME_BYTES": "Bytes of such a frame, encoded or decoded.",
    "PACS_LIMITS__JPEG_SCANS": "Scans of a JPEG frame; samples times scans are at most ten times the samples above.",
    "PACS_LIMITS__JPEG_2000_TILES": "Tiles of a JPEG 2000 frame.",
    "PACS_LIMITS__JPEG_2000_BLOCKS": "Its precincts and code-blocks.",
    "PACS_LIMITS__JPEG_2000_PACKETS": "Its packets.",
    "PACS_SYSLOG__HOST": (
        "The machine that gets the access trail over syslog, by the name in its certificate; empty: none."
    ),
    "PACS_SYSLOG__PORT": "Its port.",
    "PACS_SYSLOG__CA_FILE": "The CA (PEM) that its certificate must be of; empty: those that this machine trusts.",
    "PACS_SYSLOG__CERTIFICATE": "Our certificate (PEM) for receivers that ask for one.",
    "PACS_SYSLOG__KEY": "Its key (PEM), if it isn't in the same file.",
    "PACS_SYSLOG__SITE": "AuditEnterpriseSiteID of the messages.",
    "PACS_AUDIT__CHECKPOINTS": (
        "Folder, or bucket s3://name/prefix, for the signed checkpoints of the access trail, best on another machine; "
        "empty: audit-checkpoints in the data folder. Files are only added."
    ),
    "PACS_AUDIT__S3__ENDPOINT_URL": "The S3 server of that bucket; empty: AWS.",
    "PACS_AUDIT__S3__REGION": "Its region.",
    "PACS_AUDIT__S3__ACCESS_KEY_ID": (
        "Who writes there; best nobody who may write anything else. Empty: where boto3 looks for credentials."
    ),
    "PACS_AUDIT__S3__SECRET_ACCESS_KEY": "The key to that name.",
    "PACS_AUDIT__LOCK_DAYS": (
        "Days for which the bucket keeps each checkpoint from everybody (object lock in compliance mode; the bucket "
        "must have been made with object lock); empty: no lock."
    ),
    "PACS_AUDIT__CHECKPOINT_SECONDS": "Seconds between checkpoints while there is news.",
    "PACS_AUDIT__KEY": (
        "File of the key that signs them, made if it isn't there; empty: secrets/audit_key in the data folder."
    ),
    "PACS_AUDIT__YEARS": (
        "Months older than so many years (6 at the least) may be taken out of the trail, by command; empty: none ever."
    ),
    "PACS_AUDIT__ARCHIVE": "Folder for the copies of these months; empty: audit-archive in the data folder.",
    "PACS_AUDIT__FRAME_SECONDS": (
        "Seconds in which frames of one study, read by one person or client, are counted together in the trail; 0: "
        "each answer is an event of its own."
    ),
    "PACS_BACKUP__TARGET": "A folder or s3://bucket/prefix; a backup is made there each day. Empty: none by itself.",
    "PACS_BACKUP__KEY": (
        "File of the key that backups are encrypted with; empty: secrets/backup_key in the data folder, made at first "
        "use. Keep a copy elsewhere."
    ),
    "PACS_BACKUP__HOUR": "Hour of the day (UTC) from which on the daily backup is made.",
    "PACS_BACKUP__KEEP_DAILY": "Of so many days the newest backup is kept.",
    "PACS_BACKUP__KEEP_WEEKLY": "Of so many weeks, likewise.",
    "PACS_BACKUP__KEEP_MONTHLY": "Of so many months, likewise.",
    "PACS_BACKUP__OBJECTS": "With S3 as object store: copy the objects as well.",
    "PACS_BACKUP__S3__ENDPOINT_URL": "The S3 server of the backups; empty: AWS.",
    "PACS_BACKUP__S3__REGION": "Its region.",
    "PACS_BACKUP__S3__ACCESS_KEY_ID": "Who writes there. Empty: where boto3 looks for credentials.",
    "PACS_BACKUP__S3__SECRET_ACCESS_KEY": "The key to that name.",
    "PACS_OIDC__ISSUER": (
        "The OpenID provider of single sign-on, letter for letter as its discovery document has it: https://, or "
        "http:// on this machine. Empty: there is none."
    ),
    "PACS_OIDC__CLIENT_ID": "The name under which Lightbox is registered there.",
    "PACS_OIDC__CLIENT_SECRET": "Its secret; empty for a public client.",
    "PACS_OIDC__SCOPES": "What is asked for; openid must be among it.",
    "PACS_OIDC__TITLE": "The text of the button.",
    "PACS_OIDC__USERNAME_CLAIM": "The claim that becomes the name of a new person. Dots lead into claims: a.b.",
    "PACS_OIDC__ROLES_CLAIM": "The claim that tells the roles: a list, or words with spaces.",
    "PACS_OIDC__ROLES": (
        'Table (JSON) from its values to roles: {"pacs-radiology": "radiologist", "pacs-it": ["administrator", '
        '"auditor"]}. Empty: roles are given in Lightbox alone.'
    ),
    "PACS_OIDC__CREATE": "Make people who are not known yet at their first sign-in.",
    "PACS_OIDC__SIGN_OUT": "Whoever signs out here is led to sign out at the provider too.",
    "PACS_TRUSTED_ISSUERS": "Issuers whose tokens are taken as Bearer tokens (JSON list of objects).",
}
