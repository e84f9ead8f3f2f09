// Every view, once: its address, its name, its place in the navigation and its file. Views are loaded when first shown.
//   nav: a line of the navigation; key: the second letter of "g x"; count: which number of the summary stands beside it.
//   part: the line of the navigation that is marked, for views that have none.
export const routes = [
  { path: '/', title: 'Overview', nav: true, key: 'o', view: () => import('./views/overview.jsx') },
  { path: '/tasks', title: 'Tasks', nav: true, key: 't', count: 'tasks', view: () => import('./views/tasks.jsx') },
  { path: '/tasks/:framework/:id', title: 'Task', part: '/tasks', view: () => import('./views/task.jsx') },
  { path: '/agents', title: 'Agents', nav: true, key: 'a', count: 'agents', view: () => import('./views/agents.jsx') },
  { path: '/tasks/:framework/:id/shell', title: 'Shell', part: '/tasks', heavy: true, view: () => import('./views/shell.jsx') },
  { path: '/agents/:id/browse', title: 'Files', part: '/agents', view: () => import('./views/files.jsx') },
  { path: '/agents/:id/log', title: 'File', part: '/agents', view: () => import('./views/log.jsx') },
  { path: '/agents/:id', title: 'Agent', part: '/agents', view: () => import('./views/agent.jsx') },
  { path: '/frameworks', title: 'Frameworks', nav: true, key: 'f', count: 'frameworks', view: () => import('./views/frameworks.jsx') },
  { path: '/frameworks/:id', title: 'Framework', part: '/frameworks', view: () => import('./views/framework.jsx') },
  { path: '/roles', title: 'Roles', nav: true, key: 'r', count: 'roles', view: () => import('./views/roles.jsx') },
  { path: '/offers', title: 'Offers', nav: true, key: 'p', count: 'offers', view: () => import('./views/offers.jsx') },
  { path: '/log', title: 'Log', part: '/', view: () => import('./views/log.jsx') },
  { path: '/topology', title: 'Topology', nav: true, key: 'y', view: () => import('./views/topology.jsx') },
  { path: '/maintenance', title: 'Maintenance', nav: true, key: 'm', view: () => import('./views/maintenance.jsx') },
];
