"""How the batch of our own API shows in the OpenAPI document."""

from dataclasses import dataclass

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema

from services.ingest.batch import FILES, NAME
from services.ingest.openapi import FIELDS, FILE, HEADERS, REPLAYED, RESPONSES, shown
from services.ingest.schemas import BatchUploads, NoUploads
from shared.openapi import with_headers
from shared.problem import MEDIA_TYPE

_PER_FILE = (403, 404, 409, 410, 413, 415, 422, 429, 503)
"""Where every file of a batch is refused for one reason, the whole answer has its status."""


@dataclass
class BatchOperation(Operation):
    """`POST /v1/uploads/batch`."""

    def __post_init__(self) -> None:
        files = Schema(
            type=OpenAPIType.ARRAY,
            items=FILE,
            max_items=FILES,
            description=f"At most {FILES} files, each a part of this name (or of the name `file`); fields may come "
            "before, between or after them and go for all.",
        )
        schema = Schema(type=OpenAPIType.OBJECT, properties={NAME: files, **FIELDS}, required=[NAME])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True
        )
        self.parameters = [*(self.parameters or ()), *HEADERS]
        with_headers(self, REPLAYED, 201, 202)
        self.operation_id = "uploadBatch"
        self.summary = "Upload many files in one form"


def _none_taken(spec: ResponseSpec) -> ResponseSpec:
    return ResponseSpec(
        data_container=NoUploads,
        generate_examples=False,
        description=f"Not one file was taken, each for this reason: {spec.description}",
        media_type=MEDIA_TYPE,
    )


BATCH_RESPONSES: dict[int, ResponseSpec] = {
    **RESPONSES,
    **{status: _none_taken(RESPONSES[status]) for status in _PER_FILE if status in RESPONSES},
    200: shown(BatchUploads, "Nothing new: every file that was taken was there (`on_duplicate=reuse`)"),
    201: shown(BatchUploads, "One file at least is stored, announced and catalogued"),
    202: shown(BatchUploads, "One file at least is stored and announced; the catalog will have it"),
}
