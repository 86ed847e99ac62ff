"""Which documents are read. All others are stored as they are."""

PDF = "application/pdf"
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
DOCX = f"{_OPEN_XML}.wordprocessingml.document"
XLSX = f"{_OPEN_XML}.spreadsheetml.sheet"
PPTX = f"{_OPEN_XML}.presentationml.presentation"
_ODF = "application/vnd.oasis.opendocument"
ODT, ODS, ODP = f"{_ODF}.text", f"{_ODF}.spreadsheet", f"{_ODF}.presentation"

DOC, XLS, PPT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"

OPEN_XML = frozenset({DOCX, XLSX, PPTX})
OPEN_DOCUMENT = frozenset({ODT, ODS, ODP})
PLAIN = frozenset({"text/plain", "text/csv", "text/markdown"})
LEGACY = frozenset({DOC, XLS, PPT})
READ = frozenset({PDF}) | OPEN_XML | OPEN_DOCUMENT | PLAIN | LEGACY
