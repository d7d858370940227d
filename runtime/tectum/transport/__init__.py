"""Messages between processes: wire format, ZeroMQ, in-memory."""
