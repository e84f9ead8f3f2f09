// States and reasons in words: what happened, and what to do about it. Every TASK_* state and REASON_* of the protocol has its line here;
// test/words.test.mjs holds the list against the protocol's.

// [what it is, what to do]
export const STATE_WORDS = {
  STAGING: ['The master accepted the task and handed it to the agent, which has not said anything yet: it may be fetching files or images.', 'If it stays so for minutes, look at the agent\'s log and at the sandbox.'],
  STARTING: ['The executor has the task and is starting it.', ''],
  RUNNING: ['The task runs.', ''],
  KILLING: ['The executor was told to end the task and is waiting for it to stop.', 'It is killed the hard way when its grace period is over.'],
  FINISHED: ['The task ended by itself, with success.', ''],
  FAILED: ['The task ended with a failure.', 'Read the message and the end of stderr in the sandbox.'],
  KILLED: ['The task was ended on request of its framework or of an operator.', ''],
  ERROR: ['The task was refused before it started: its description is wrong or it is not allowed.', 'The message says what; the framework has to change the task.'],
  LOST: ['The task is not known to run any more. Frameworks that know of partitions are told more exactly.', 'The framework should start another one. This one may still come back.'],
  DROPPED: ['The task never started: it was dropped on the way to its agent.', 'Nothing ran. The framework may simply launch it again.'],
  UNREACHABLE: ['The agent does not answer, so nobody knows how the task is. It may still run.', 'Look at the machine and its network. The task shows up again when the agent does.'],
  GONE: ['The task is not there any more: the agent, which is up, does not have it.', 'The framework should start another one.'],
  GONE_BY_OPERATOR: ['An operator declared the agent of the task gone for good.', 'The framework should start another one.'],
  UNKNOWN: ['Neither the master nor any agent that it knows has heard of the task.', 'The framework asked about a task that ended long ago or never was.'],
};

export const REASON_WORDS = {
  COMMAND_EXECUTOR_FAILED: ['The executor that runs the command failed.', 'Look at stderr in the sandbox and at the agent\'s log.'],
  CONTAINER_LAUNCH_FAILED: ['The container could not be made: fetching a file, pulling an image, a volume or an isolator failed.', 'The message says which step. Check addresses, credentials and paths of the task.'],
  CONTAINER_LIMITATION: ['The container went over one of its limits and was ended.', 'The message says which limit. Ask for more, or use less.'],
  CONTAINER_LIMITATION_DISK: ['The sandbox or a volume took more disk than the task asked for.', 'Ask for more disk, or write and log less.'],
  CONTAINER_LIMITATION_MEMORY: ['The task used more memory than its limit, and the kernel ended it.', 'Ask for more memory, or find out what took it: see the usage chart.'],
  CONTAINER_PREEMPTED: ['The task ran on resources that were only lent (revocable), and they were needed back.', 'Run it again, or give it resources of its own.'],
  CONTAINER_UPDATE_FAILED: ['The limits of the running container could not be changed, so it was ended.', 'Look at the agent\'s log; often the container had just ended.'],
  MAX_COMPLETION_TIME_REACHED: ['The task ran longer than the time its framework allowed.', 'Allow more time, or make it quicker.'],
  EXECUTOR_REGISTRATION_TIMEOUT: ['The executor did not report to its agent in time.', 'Slow downloads are the usual cause; raise --executor_registration_timeout of the agent, or look at stderr of the executor.'],
  EXECUTOR_REREGISTRATION_TIMEOUT: ['The agent was restarted, and the executor did not come back to it in time.', 'Raise --executor_reregistration_timeout of the agent, or see why the executor was stuck.'],
  EXECUTOR_TERMINATED: ['The executor ended, and its tasks with it.', 'Look at stderr in the sandbox: the executor may have crashed or been killed.'],
  EXECUTOR_UNREGISTERED: ['The executor was not registered when its task was to be delivered.', 'The framework may launch the task again.'],
  FRAMEWORK_REMOVED: ['Its framework was removed: torn down, or away for longer than its failover timeout.', 'Start the framework again. A longer failover timeout keeps tasks while it is away.'],
  GC_ERROR: ['The agent could not take the sandbox out of its list of folders to delete, so it did not start the task.', 'Look at the agent\'s log and at its disk.'],
  INVALID_FRAMEWORKID: ['The framework id of the call was not valid.', 'A mistake of the framework.'],
  INVALID_OFFERS: ['The offer was no longer there: used, declined, or taken back.', 'Normal once in a while. The framework launches the task on another offer.'],
  IO_SWITCHBOARD_EXITED: ['The process that carries the input and output of the container ended unexpectedly.', 'Look at the agent\'s log; was it killed for lack of memory?'],
  MASTER_DISCONNECTED: ['The framework\'s driver had no connection to a master and refused by itself.', 'Nothing ran. It is sent again when the master is there.'],
  RECONCILIATION: ['The framework asked how the task is, and this is the answer: nothing happened just now.', ''],
  RESOURCES_UNKNOWN: ['The agent does not have the resources that the task was to use, perhaps a volume or a reservation that is gone.', 'The framework should use a newer offer.'],
  AGENT_DISCONNECTED: ['The agent\'s connection to the master was broken at that moment.', 'The framework may launch the task again.'],
  AGENT_DRAINING: ['An operator is draining the agent: its tasks are ended so that the machine can be taken away.', 'The framework starts it elsewhere by itself.'],
  AGENT_REMOVED: ['The agent left the cluster, or did not answer for too long.', 'Look at the machine. Tasks come back if it does and they still run.'],
  AGENT_REMOVED_BY_OPERATOR: ['An operator declared the agent gone.', 'The framework should start the task elsewhere.'],
  AGENT_REREGISTERED: ['The agent came back, and the task with it.', ''],
  AGENT_RESTARTED: ['The agent was restarted while the task was on its way to it.', 'Nothing ran. The framework may launch it again.'],
  AGENT_UNKNOWN: ['The agent of the task is not known.', 'The framework should ask for the task\'s state and start another one.'],
  TASK_KILLED_DURING_LAUNCH: ['The kill came before the task had started.', ''],
  TASK_CHECK_STATUS_UPDATED: ['A check that the task defines had a new result.', ''],
  TASK_HEALTH_CHECK_STATUS_UPDATED: ['A health check had a new result.', 'When it says unhealthy: after some failures in a row the task is killed.'],
  TASK_GROUP_INVALID: ['The group of tasks (pod) was described wrongly, so none of it started.', 'The message says what; the framework has to change it.'],
  TASK_GROUP_UNAUTHORIZED: ['The framework may not launch one of the tasks of the group, for instance as that user.', 'Change the access rules (ACLs), or the user of the task.'],
  TASK_INVALID: ['The task was described wrongly.', 'The message says what; the framework has to change it.'],
  TASK_UNAUTHORIZED: ['The framework may not launch this task, for instance as that user.', 'Change the access rules (ACLs), or the user of the task.'],
  TASK_UNKNOWN: ['The task is not known.', ''],
};

// The same of states that are over, for the story of a task.
const PAST_WORDS = {
  STAGING: 'The agent was handed the task.', STARTING: 'The executor was starting it.', RUNNING: 'The task ran.', KILLING: 'It was being ended.',
  UNREACHABLE: 'The agent did not answer.', LOST: 'It was not known to run.',
};

const bare = (name, prefix) => String(name ?? '').replace(prefix, '');
export const stateWords = (state) => STATE_WORDS[bare(state, /^TASK_/)] ?? ['', ''];
export const pastWords = (state) => PAST_WORDS[bare(state, /^TASK_/)] ?? stateWords(state)[0];
export const reasonWords = (reason) => REASON_WORDS[bare(reason, /^REASON_/).replace('SLAVE', 'AGENT')];

// A master or executor says where a status came from.
export const SOURCE_WORDS = { SOURCE_MASTER: 'the master', SOURCE_AGENT: 'the agent', SOURCE_SLAVE: 'the agent', SOURCE_EXECUTOR: 'the executor' };

// "out_of_memory", "OUT_OF_MEMORY": as words.
export const readable = (name) => String(name ?? '').replace(/^(TASK|REASON|SOURCE)_/, '').toLowerCase().replaceAll('_', ' ');

// What stands on the buttons that choose among them.
export const EXPLAIN_TITLES = {
  OPEN: 'open', FILTERED: 'declined', NOTHING_FREE: 'nothing free', HOLDS: 'holds its part', QUOTA_LIMIT: 'role at its limit', QUOTA_HEADROOM: 'kept for guarantees',
  AGENT_INACTIVE: 'agent inactive', FRAMEWORK_INACTIVE: 'framework inactive',
};

// Answers of /explain, see docs/explain.md.
export const EXPLAIN_WORDS = {
  AGENT_INACTIVE: 'the agent is offered to nobody', NOT_WHITELISTED: 'the agent is not on the whitelist', FRAMEWORK_INACTIVE: 'the framework is not active',
  NOT_SUBSCRIBED: 'the framework is not subscribed', SUPPRESSED: 'the framework asked for no offers', NEEDS_MULTI_ROLE: 'the agent is too old for several roles',
  NEEDS_HIERARCHICAL_ROLE: 'the agent is too old for roles with /', NEEDS_REGION_AWARE: 'the agent is in another region, and the framework does not know regions',
  NEEDS_GPU_RESOURCES: 'the agent has GPUs, and the framework does not ask for such', CONSTRAINT: 'the framework\'s own constraints exclude the agent',
  NOTHING_FREE: 'others hold it, or it is reserved', HOLDS: 'it holds all it could have there', QUOTA_LIMIT: 'the role is at its limit',
  QUOTA_HEADROOM: 'what is free is kept for guarantees of other roles', TOO_SMALL: 'less is free than the smallest offer', FILTERED: 'the framework declined it a moment ago',
  GANG_WAITS: 'a gang offer waits until all of it is free', OPEN: 'nothing stands in the way: the next run decides',
};
