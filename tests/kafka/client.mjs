// What the tests of tests/kafka do with Kafka: the npm package kafkajs, which has nothing to do with librdkafka, as producer,
// consumer and administrator.
//
//   node client.mjs BROKERS
//
// Reads requests from standard input, one JSON object a line, {"do": NAME, ...}, does them one after the other, and answers each
// with a line {"result": ...} or {"error": TEXT}. Keys and values of messages are base64, or null. Ends with its input.
import { createInterface } from 'node:readline';
import { randomUUID } from 'node:crypto';
import kafkajs from 'kafkajs';

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, AssignerProtocol, ConfigResourceTypes, Kafka, Partitioners,
  ResourcePatternTypes, logLevel } = kafkajs;
const brokers = process.argv[2].split(',');
const kafka = new Kafka({ clientId: 'test', brokers, logLevel: logLevel.NOTHING, requestTimeout: 10000, connectionTimeout: 3000,
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 60 } });

const bytes = (text) => (text === null || text === undefined ? null : Buffer.from(text, 'base64'));
const text = (buffer) => (buffer === null || buffer === undefined ? null : Buffer.from(buffer).toString('base64'));

// One that was asked for, as kafkajs takes it.
const made = ({ partition, key, value, headers, time }) => ({ partition, key: bytes(key), value: bytes(value),
  headers: headers ?? {}, ...(time === undefined ? {} : { timestamp: `${time}` }) });

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let admin = null;
async function administrator() {
  if (!admin) {
    admin = kafka.admin();
    await admin.connect();
  }
  return admin;
}

let producer = null;
async function sender() {
  if (!producer) {
    producer = kafka.producer({ createPartitioner: () => ({ message }) => message.partition });
    await producer.connect();
  }
  return producer;
}

// kafkajs calls its own assigner by a name that no other client has; the members of a group need a common one.
const range = ({ cluster }) => ({
  name: 'range', version: 0,
  async assign({ members, topics }) {
    const found = Object.fromEntries(members.map(({ memberId }) => [memberId, {}]));
    const wants = (member, topic) => AssignerProtocol.MemberMetadata.decode(member.memberMetadata).topics.includes(topic);
    for (const topic of topics) {
      const takers = members.filter((member) => wants(member, topic)).map(({ memberId }) => memberId).sort();
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId).sort((a, b) => a - b);
      partitions.forEach((partition, place) => {
        const assignment = found[takers[Math.floor((place * takers.length) / partitions.length)]];
        (assignment[topic] ??= []).push(partition);
      });
    }
    return Object.entries(found).map(([memberId, assignment]) => ({
      memberId, memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) }) }));
  },
  protocol: ({ topics }) => ({
    name: 'range', metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }) }),
});

// What it gives once that is true. A broker that has just begun fails for a moment, or leads nothing.
async function patiently(what) {
  let last = null;
  for (const deadline = Date.now() + 60000; Date.now() < deadline; await pause(20)) {
    try {
      const found = await what();
      if (found) return found;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`not within 60 s: ${last}`);
}

// Waits until new topics are known, and who leads their partitions.
const led = (topics) => patiently(async () => (await (await administrator()).fetchTopicMetadata({ topics })).topics.every(
  ({ partitions }) => partitions.length > 0 && partitions.every(({ leader }) => leader >= 0)));

const offsets = (topic) => patiently(async () => (await administrator()).fetchTopicOffsets(topic));

// Until a member has read every partition of the topics up to where it ended when asked.
async function read(topics) {
  const group = `reader-${randomUUID()}`;
  const left = new Map();
  for (const topic of topics)
    for (const { partition, high, low } of await offsets(topic))
      if (BigInt(high) > BigInt(low)) left.set(`${topic}/${partition}`, BigInt(high));
  const found = [];
  if (left.size === 0) return found;
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || reject(payload.error));
    const deadline = setTimeout(() => reject(new Error(`not read in time: ${[...left.keys()]}`)), 60000);
    consumer.run({ autoCommit: false, eachBatch: async ({ batch }) => {
      const place = `${batch.topic}/${batch.partition}`;
      if (!left.has(place)) return;
      for (const message of batch.messages)
        found.push({ topic: batch.topic, partition: batch.partition, offset: Number(message.offset), key: text(message.key),
          value: text(message.value), time: Number(message.timestamp),
          headers: Object.entries(message.headers).flatMap(([name, values]) =>
            [values].flat().map((value) => [name, value === undefined || value === null ? null : value.toString()])) });
      if (BigInt(batch.lastOffset()) + 1n >= left.get(place)) left.delete(place);
      if (left.size > 0) return;
      clearTimeout(deadline);
      resolve();
    } });
  });
  await consumer.disconnect();
  await (await administrator()).deleteGroups([group]);
  return found;
}

// Sends commands to all partitions, so many at once, each after those before it were acknowledged, until it is told to stop. Each
// time one of `among` goes with them, of those for that partition in turn; a header says which time it is.
class Load {
  constructor({ topic, partitions, commands, among, pauseMillisecondsMax }) {
    this.acknowledged = 0;
    this.acknowledgedAmong = 0;
    this.enough = false;
    this.ended = Promise.all([...Array(partitions).keys()].map((partition) => this.fill(topic, partition, commands,
      (among ?? []).filter((one) => one.partition === partition).map(made), pauseMillisecondsMax ?? 0)));
  }

  async fill(topic, partition, commands, among, pauseMillisecondsMax) {
    for (let turn = 0; !this.enough; ++turn) {
      const messages = [...Array(commands).keys()].map((one) => ({ partition, key: `${partition}`, value: JSON.stringify({
        id: randomUUID(), action: 'UPDATED', targetType: 'LOAD', targetId: `${partition}`,
        detail: { number: turn * commands + one } }) }));
      if (among.length > 0)
        messages.splice(turn % (commands + 1), 0, { ...among[turn % among.length], headers: { producer: `${partition}/${turn}` } });
      while (!(await this.sent(topic, messages)));
      this.acknowledged += commands;  // each is numbered once, however often it was sent
      this.acknowledgedAmong += messages.length - commands;
      await pause(Math.random() * pauseMillisecondsMax);
    }
  }

  // The same commands again until they are acknowledged, as a producer has to.
  async sent(topic, messages) {
    try {
      await (await sender()).send({ topic, messages, acks: -1, timeout: 5000 });
      return true;
    } catch (error) {
      await pause(50);
      return false;
    }
  }
}

// One right of a user, on a topic or a group.
const rule = ({ topic, group, user, operation }) => ({
  resourceType: topic ? AclResourceTypes.TOPIC : AclResourceTypes.GROUP, resourceName: topic ?? group, host: '*',
  resourcePatternType: ResourcePatternTypes.LITERAL, principal: `User:${user}`, operation: AclOperationTypes[operation],
  permissionType: AclPermissionTypes.ALLOW });

let load = null;
let member = null;

const does = {
  nodes: async () => (await (await administrator()).describeCluster()).brokers.length,
  make: async ({ topics, partitions, config }) => {
    await (await administrator()).createTopics({ waitForLeaders: false, topics: topics.map((topic) => ({
      topic, numPartitions: partitions, configEntries: Object.entries(config ?? {}).map(([name, value]) => ({ name, value })) })) });
    return led(topics);
  },
  grow: async ({ topic, partitions }) => (await administrator()).createPartitions({
    topicPartitions: [{ topic, count: partitions }] }),
  configure: async ({ topic, config }) => (await administrator()).alterConfigs({ validateOnly: false, resources: [{
    type: ConfigResourceTypes.TOPIC, name: topic,
    configEntries: Object.entries(config).map(([name, value]) => ({ name, value })) }] }),
  ends: async ({ topic }) => (await offsets(topic)).map(({ partition, low, high }) => ({
    partition, low: Number(low), high: Number(high) })),
  cut: async ({ topic, partition, offset }) => {
    await offsets(topic);  // kafkajs looks for leaders among topics that it was asked about
    return (await administrator()).deleteTopicRecords({ topic, partitions: [{ partition, offset: `${offset}` }] });
  },
  remove: async ({ topics }) => (await administrator()).deleteTopics({ topics }),
  allow: async (request) => (await administrator()).createAcls({ acl: [rule(request)] }),
  forbid: async (request) => (await administrator()).deleteAcls({ filters: [rule(request)] }),
  // In which of so many partitions Java's clients put each key.
  placed: async ({ keys, partitions }) => {
    const place = Partitioners.DefaultPartitioner();
    const partitionMetadata = [...Array(partitions).keys()].map((partitionId) => ({ partitionId, leader: 1 }));
    return keys.map((key) => place({ topic: '', partitionMetadata, message: { key: bytes(key) } }));
  },
  leader: async ({ topic, partition }) => (await (await administrator()).fetchTopicMetadata({ topics: [topic] }))
    .topics[0].partitions.find((one) => one.partitionId === partition).leader,
  places: async ({ group, topic }) => Object.fromEntries(
    (await (await administrator()).fetchOffsets({ groupId: group, topics: [topic] }))[0].partitions.map(
      ({ partition, offset }) => [partition, Number(offset)])),
  send: async ({ topic, messages, transaction }) => {
    const told = { topic, acks: -1, messages: messages.map(made) };
    if (!transaction) {
      await (await sender()).send(told);
      return null;
    }
    const careful = kafka.producer({ transactionalId: `t-${randomUUID()}`, maxInFlightRequests: 1, idempotent: true,
      createPartitioner: () => ({ message }) => message.partition });
    await careful.connect();
    const running = await careful.transaction();
    await running.send(told);
    await running[transaction]();
    await careful.disconnect();
    return null;
  },
  read: async ({ topics }) => read(topics),
  start: async (request) => { load = new Load(request); return null; },
  acknowledged: async () => load.acknowledged,
  acknowledgedAmong: async () => load.acknowledgedAmong,
  stop: async () => { load.enough = true; await load.ended; return load.acknowledged; },
  // Reads what the group gives it, and puts nothing anywhere. The brokers believe in it for `patience` milliseconds after it was last
  // heard of. In a rebalance they wait as long as the most patient member says, which is the server and not this one.
  join: async ({ group, topics, patience }) => {
    member = kafka.consumer({ groupId: group, partitionAssigners: [range], maxWaitTimeInMs: 100,
      sessionTimeout: patience ?? 10000, rebalanceTimeout: 5000, heartbeatInterval: 300 });
    await member.connect();
    await member.subscribe({ topics, fromBeginning: false });
    const joined = new Promise((resolve) => member.on(member.events.GROUP_JOIN,
      ({ payload }) => Object.keys(payload.memberAssignment).length > 0 && resolve(payload.memberAssignment)));
    await member.run({ eachMessage: async () => {} });
    return joined;
  },
  leave: async () => { await member.disconnect(); return null; },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await does[request.do](request)) ?? null };
  } catch (error) {
    answer = { error: `${request.do}: ${error.stack} ${JSON.stringify(error)}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
