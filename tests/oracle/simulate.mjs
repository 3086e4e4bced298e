// One long-lived process over @cloud-copilot/iam-simulate: a JSON line in (policies and a batch of requests), a JSON line
// out (decisions, or one error). What iam-simulate would drop, guess or fail open on is an error here, never a decision.
import { createInterface } from 'node:readline'
import {
  allowedContextKeysForRequest,
  isConditionKeyArray,
  runSimulation,
  typeForContextKey
} from '@cloud-copilot/iam-simulate'

// iam-simulate drops kms:EncryptionContext:<name>: policies and requests say it under a name that it keeps.
const ENCRYPTION_CONTEXT = /^kms:EncryptionContext:(?!\$)(.+)$/i
const STAND_IN = 'aws:RequestTag/kms-encryption-context/'
// iam-simulate takes an operator that doesn't exist for one that doesn't match.
const OPERATOR = new RegExp(
  '^(ForAllValues:|ForAnyValue:)?(' +
    'String(Not)?Equals(IgnoreCase)?|String(Not)?Like|Arn(Not)?(Equals|Like)|Bool|BinaryEquals|(Not)?IpAddress|' +
    '(Numeric|Date)((Not)?Equals|(Less|Greater)Than(Equals)?))(IfExists)?$|^Null$',
  'i'
)
const APPLIES = ['Match', 'AccountLevelMatch', 'SessionRoleMatch', 'SessionUserMatch']

const list = (value) => (value === undefined ? [] : [value].flat())
/** The same answer for the same arguments, asked once. */
const remembered = (ask) => {
  const answers = new Map()
  return (...asked) => {
    const name = JSON.stringify(asked)
    if (!answers.has(name)) answers.set(name, ask(...asked))
    return answers.get(name)
  }
}
const typeOf = remembered(typeForContextKey)
const knownKeys = remembered((action, resource) => allowedContextKeysForRequest(...action.split(':'), resource, false))
const keptName = (key) => key.replace(ENCRYPTION_CONTEXT, (_, name) => STAND_IN + name)

/** A policy that iam-simulate can read as AWS would; throws on what AWS refuses or iam-simulate would take for absent. */
async function readablePolicy(policy, context) {
  for (const [, variable] of JSON.stringify(policy).matchAll(/\$\{([^*?$}][^},]*)/g)) {
    if (!context.has(variable.trim().toLowerCase())) throw new Error(`policy variable \${${variable}} has no value in the request`)
  }
  const statements = []
  for (const statement of list(policy.Statement)) {
    for (const principal of list(statement.Principal?.AWS ?? statement.NotPrincipal?.AWS)) {
      if (principal !== '*' && /[*?]/.test(principal)) throw new Error(`a principal can't hold a wildcard: ${principal}`)
    }
    const condition = {}
    for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
      if (!OPERATOR.test(operator)) throw new Error(`there is no condition operator ${operator}`)
      condition[operator] = {}
      for (const [key, values] of Object.entries(keys)) {
        await typeOf(key) // throws on a key that no service has
        if (/Bool|Null/i.test(operator) && !list(values).every((v) => /^(true|false)$/i.test(v))) {
          throw new Error(`${operator} ${key} compares with ${JSON.stringify(values)}`)
        }
        condition[operator][keptName(key)] = values
      }
    }
    statements.push(statement.Condition ? { ...statement, Condition: condition } : statement)
  }
  return { ...policy, Statement: statements }
}

/** The request's context under the names iam-simulate keeps; throws on a key the action doesn't have. */
async function readableContext({ action, resource, context }) {
  const known = await knownKeys(action, resource)
  const readable = {}
  for (const [key, value] of Object.entries(context)) {
    if (key.toLowerCase().startsWith(STAND_IN.toLowerCase())) throw new Error(`${key} is taken by the evaluator`)
    if (ENCRYPTION_CONTEXT.test(key) && !known.some((name) => name.startsWith('kms:encryptioncontext:'))) {
      throw new Error(`${action} has no context key ${key}`)
    }
    if (Array.isArray(value) && !isConditionKeyArray(await typeOf(key))) {
      throw new Error(`${key} has one value, the request gives several`)
    }
    if (!list(value).every((v) => typeof v === 'string')) throw new Error(`${key} isn't a string: ${JSON.stringify(value)}`)
    readable[keptName(key)] = value
  }
  return readable
}

/** Why a statement that reaches this request can't be decided, if it can't. */
function undecided(analysis, unknowable) {
  if (!analysis.actionMatch || !analysis.resourceMatch || !APPLIES.includes(analysis.principalMatch)) return undefined
  const doubts = (c) =>
    c.failedBecauseArray ||
    c.missingOperator ||
    unknowable.has(c.conditionKeyValue.toLowerCase()) ||
    list(c.values).some((v) => v?.errors?.length > 0)
  const conditions = list(analysis.explain.conditions)
  if (conditions.some((c) => !c.matches && !doubts(c))) return undefined // one certain "no" decides the statement
  const doubtful = conditions.find(doubts)
  return doubtful && `can't decide ${analysis.explain.identifier}: ${doubtful.operator} ${doubtful.conditionKeyValue}`
}

async function decide(message, request) {
  const context = new Set(Object.keys(request.context).map((key) => key.toLowerCase()))
  const unknowable = new Set(request.unknowable.map((key) => key.toLowerCase()).filter((key) => !context.has(key)))
  const named = (kind, policies) =>
    Promise.all(policies.map(async (policy, i) => ({ name: `${kind}[${i}]`, policy: await readablePolicy(policy, context) })))
  const levels = (kind, policies) =>
    Promise.all(policies.map(async (level, i) => ({ orgIdentifier: `level-${i}`, policies: await named(`${kind}[${i}]`, level) })))
  const response = await runSimulation(
    {
      request: {
        principal: request.principal === 'anonymous' ? { type: 'Anonymous' } : request.principal,
        action: request.action,
        resource: { resource: request.resource, accountId: message.account },
        contextVariables: await readableContext(request)
      },
      identityPolicies: await named('identity', request.identity),
      permissionBoundaryPolicies: message.boundary && (await named('boundary', [message.boundary])),
      resourcePolicy: message.resource && (await readablePolicy(message.resource, context)),
      sessionPolicy: message.session && (await readablePolicy(message.session, context)),
      serviceControlPolicies: await levels('scp', message.scps),
      resourceControlPolicies: await levels('rcp', message.rcps)
    },
    { simulationMode: 'Strict' }
  )
  if (response.resultType !== 'single') throw new Error(JSON.stringify(response.errors ?? response.resultType))
  const { analysis, ignoredContextKeys } = response.result
  if (ignoredContextKeys.length > 0) throw new Error(`${request.action} has no context key ${ignoredContextKeys}`)
  const statements = []
  for (const kind of ['identity', 'resource', 'permissionBoundary', 'session', 'scp', 'rcp']) {
    const parts = list(analysis[`${kind}Analysis`]).flatMap((part) => part.ouAnalysis ?? part)
    for (const effect of ['deny', 'allow', 'unmatched']) {
      for (const statement of parts.flatMap((part) => part[`${effect}Statements`])) {
        const doubt = undecided(statement, unknowable)
        if (doubt) throw new Error(doubt)
        if (effect !== 'unmatched') statements.push([effect, kind, statement.explain.identifier])
      }
    }
  }
  return { allowed: analysis.result === 'Allowed', statements }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const message = JSON.parse(line)
    const decisions = []
    for (const request of message.requests) {
      try {
        decisions.push(await decide(message, request))
      } catch (error) {
        throw new Error(`${error.message} (${request.principal} ${request.action} ${request.resource} ${JSON.stringify(request.context)})`)
      }
    }
    answer = { decisions }
  } catch (error) {
    answer = { error: error.message }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
