// Not an ES module: Node loads those later, and poolifier's first message to its worker would be lost.
const { ClusterWorker } = require("poolifier");
const tasks = require("../../drivers/tasks.mjs");

module.exports = new ClusterWorker({ ...tasks });
