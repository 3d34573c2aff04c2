"""All shapes, in the order a message passes them."""

from tests.bench.cost.deliver_shape import MAILDIR, RELAY
from tests.bench.cost.queue_shape import QUEUE
from tests.bench.cost.receive_shape import KEPT_OPEN, RECEIVE
from tests.bench.cost.records_shape import RECORDS
from tests.bench.cost.road_shape import ROAD
from tests.bench.cost.shape import Shape

SHAPES: dict[str, Shape] = {
    shape.name: shape for shape in (RECEIVE, KEPT_OPEN, QUEUE, MAILDIR, RELAY, RECORDS, ROAD)
}
