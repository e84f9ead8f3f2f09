"""What the system tests share: real daemons, HTTP on plain sockets, a scheduler and an executor of the v1 API."""
