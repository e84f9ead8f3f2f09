"""Telegraf's own input for Mesos (github.com/influxdata/telegraf v1.20.4, plugins/inputs/mesos), as published: it asks master and agent for
their metrics as a monitoring system does, and keeps those that it knows by name."""
import pytest

from clients import USER, Cluster, Program, eventually, install, place
from harness.scheduler import Scheduler

SECONDS = 30  # when it is still to be built

# Of each group that it collects, what a board of a cluster shows.
MASTER = ("master/cpus_percent", "master/cpus_used", "master/cpus_total", "master/gpus_total", "master/mem_percent", "master/mem_used",
          "master/disk_total", "master/cpus_revocable_total", "master/elected", "master/uptime_secs", "system/cpus_total", "system/load_15min",
          "system/load_1min", "system/mem_free_bytes", "system/mem_total_bytes", "master/slave_registrations", "master/slave_removals",
          "master/slave_reregistrations", "master/slave_shutdowns_scheduled", "master/slave_shutdowns_canceled",
          "master/slave_shutdowns_completed", "master/slaves_active", "master/slaves_connected", "master/slaves_disconnected",
          "master/slaves_inactive", "master/slave_unreachable_completed", "master/recovery_slave_removals", "master/frameworks_active",
          "master/frameworks_connected", "master/frameworks_disconnected", "master/frameworks_inactive", "master/outstanding_offers",
          "master/tasks_error", "master/tasks_failed", "master/tasks_finished", "master/tasks_killed", "master/tasks_lost",
          "master/tasks_running", "master/tasks_staging", "master/tasks_starting", "master/tasks_dropped", "master/tasks_gone",
          "master/tasks_unreachable", "master/messages_launch_tasks", "master/messages_status_update", "master/valid_status_updates",
          "master/invalid_status_updates", "master/dropped_messages", "master/event_queue_dispatches", "master/event_queue_http_requests",
          "master/event_queue_messages", "registrar/queued_operations", "registrar/registry_size_bytes", "registrar/state_fetch_ms",
          "registrar/state_store_ms", "registrar/state_store_ms/max", "registrar/state_store_ms/p99", "registrar/log/recovered",
          "allocator/mesos/allocation_run_ms", "allocator/mesos/allocation_runs", "allocator/mesos/event_queue_dispatches",
          "allocator/mesos/resources/cpus/offered_or_allocated", "allocator/mesos/resources/cpus/total")
AGENT = ("slave/cpus_percent", "slave/cpus_used", "slave/cpus_total", "slave/mem_used", "slave/disk_total", "slave/registered",
         "slave/uptime_secs", "system/load_5min", "slave/executors_registering", "slave/executors_running", "slave/executors_terminated",
         "slave/executors_terminating", "slave/recovery_errors", "slave/frameworks_active", "slave/tasks_failed", "slave/tasks_finished",
         "slave/tasks_killed", "slave/tasks_lost", "slave/tasks_running", "slave/tasks_staging", "slave/tasks_starting",
         "slave/invalid_framework_messages", "slave/invalid_status_updates", "slave/valid_framework_messages", "slave/valid_status_updates",
         "slave/container_launch_errors", "containerizer/mesos/container_destroy_errors")


@pytest.fixture(scope="module")
def cluster():
    install("telegraf")
    with Cluster() as c:
        with Scheduler(c.master.address, user=USER) as s:
            s.run("sleep 1000")
            yield c


def gathered(cluster, role, daemon):
    p = Program(cluster, [place("telegraf", "bin", "telegraf"), role, "http://" + daemon.address]).run()
    assert p.status == 0 and p.errors() == "", p.told()
    metric, = p.lines()
    assert metric["name"] == "mesos" and metric["tags"]["role"] == role
    return metric


def test_master(cluster):
    metric = gathered(cluster, "master", cluster.master)
    assert metric["tags"]["state"] == "leader"
    fields = metric["fields"]
    assert [name for name in MASTER if name not in fields] == []
    assert fields["master/cpus_total"] == 4 and fields["master/slaves_active"] == 1 and fields["master/elected"] == 1
    assert all(isinstance(value, (int, float)) for value in fields.values())


def test_agent(cluster):
    fields = gathered(cluster, "slave", cluster.agent)["fields"]
    assert [name for name in AGENT if name not in fields] == []
    assert fields["slave/tasks_running"] == 1 and fields["slave/registered"] == 1


def test_it_sees_a_task_running(cluster):
    """And that its resources are used: what an alarm would watch."""
    def seen():
        fields = gathered(cluster, "master", cluster.master)["fields"]
        return fields["master/tasks_running"] == 1 and fields["master/cpus_used"] > 0 and fields["master/cpus_percent"] > 0
    eventually(seen)
