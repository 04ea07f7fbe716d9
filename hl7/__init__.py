"""HL7 v2 messages of other systems: over MLLP and HTTP, answered and applied to patients, orders and reports."""
