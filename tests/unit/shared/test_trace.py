from shared import trace

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_invariant_12_work_continues_the_trace_that_a_header_names() -> None:
    with trace.use(HEADER) as current:
        assert current.trace_id == "0af7651916cd43dd8448eb211c80319c"
        assert current.span_id != "b7ad6b7169203331"
        assert trace.traceparent() == current.traceparent
    assert trace.current() is None


def test_a_header_that_is_no_trace_starts_a_new_one() -> None:
    found = {
        trace.continue_from(h).trace_id
        for h in (None, "", "00-xyz", HEADER.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32))
    }
    assert len(found) == 4
    assert "0" * 32 not in found
