// The fleet of benchmarks/fleet.py by hand, in JavaScript as the TypeScript compiler would leave it: the same program
// as fleet_by_hand.py, statement by statement.
// node fleet_by_hand.cjs CUSTOMERS CUSTOMERS_IN_A_STACK DIRECTORY CONTEXT; prints one line of JSON.
"use strict";
const started = performance.now();
const cdk = require("aws-cdk-lib");
const ec2 = require("aws-cdk-lib/aws-ec2");
const glue = require("aws-cdk-lib/aws-glue");
const iam = require("aws-cdk-lib/aws-iam");
const kms = require("aws-cdk-lib/aws-kms");
const s3 = require("aws-cdk-lib/aws-s3");
const secretsmanager = require("aws-cdk-lib/aws-secretsmanager");
const { Construct } = require("constructs");

const [customers, inAStack, outdir] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const env = { account: "111122223333", region: "eu-central-1" };

const [subnetId, availabilityZone, groupId] = ["subnet-0123456789abcdef0", "eu-central-1a", "sg-0123456789abcdef0"];
const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const [script, rules] = ["s3://acme-code/script.py", "s3://acme-code/rules.zip"];
const tables = [{ name: "subjects", source: "public.subjects" }];

const sse = "s3:x-amz-server-side-encryption";
const sseKmsKey = "s3:x-amz-server-side-encryption-aws-kms-key-id";
const sseC = "s3:x-amz-server-side-encryption-customer-algorithm";
const s3Context = "kms:EncryptionContext:aws:s3:arn";
const inApplications = { [s3Context]: "true", "kms:ViaService": "true" };
const format = { "kms:EncryptionContext:aws:x-amz-cek-alg": "AES/GCM/NoPadding" };

const changeKey = [
  "kms:CancelKeyDeletion",
  "kms:CreateAlias",
  "kms:DeleteAlias",
  "kms:DisableKey",
  "kms:DisableKeyRotation",
  "kms:EnableKey",
  "kms:EnableKeyRotation",
  "kms:PutKeyPolicy",
  "kms:RevokeGrant",
  "kms:RotateKeyOnDemand",
  "kms:ScheduleKeyDeletion",
  "kms:TagResource",
  "kms:UntagResource",
  "kms:UpdateAlias",
  "kms:UpdateKeyDescription",
];
const lookAtKey = [
  "kms:DescribeKey",
  "kms:GetKeyPolicy",
  "kms:GetKeyRotationStatus",
  "kms:ListGrants",
  "kms:ListKeyPolicies",
  "kms:ListKeyRotations",
  "kms:ListResourceTags",
];

function placeIn(stack) {
  const subnet = ec2.Subnet.fromSubnetAttributes(stack, "Subnet", { subnetId, availabilityZone });
  return {
    stackName: stack.stackName,
    partition: stack.partition,
    account: stack.account,
    region: stack.region,
    network: glue.ConnectionNetwork.subnet(subnet),
    group: ec2.SecurityGroup.fromSecurityGroupId(stack, "Group", groupId),
  };
}

function customer(stack, place, name, secretArn) {
  const scope = new Construct(stack, name);
  const fullName = `${place.stackName}-${name}`;
  const bucketName = `${name}-${place.account}-${place.region}-an`;
  const role = new iam.Role(scope, "Role", {
    assumedBy: new iam.ServicePrincipal("glue.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": place.account } },
    }),
    description: `What the Glue job of ${name} may do`,
  });
  const logGroups =
    `arn:${place.partition}:logs:${place.region}:${place.account}` +
    `:log-group:/aws-glue/jobs/${fullName}-role/${role.roleName}/*`;
  const key = new kms.Key(scope, "Key", {
    alias: `alias/${place.stackName}/${name}`,
    description: `Encrypts the data of ${name} in S3, in the job and in its logs`,
    enableKeyRotation: true,
    policy: keyPolicy(place, role, `arn:${place.partition}:s3:::${bucketName}`, logGroups),
  });
  const bucket = bucketOf(scope, name, key);
  const permissions = new iam.ManagedPolicy(scope, "Permissions", {
    roles: [role],
    statements: permissionsOf(place, bucket, key, { secretArn, logGroups, fullName }),
  });
  const security = new glue.SecurityConfiguration(scope, "SecurityConfiguration", {
    securityConfigurationName: fullName,
    s3Encryption: glue.S3Encryption.kms(key),
    cloudWatchEncryption: glue.CloudWatchEncryption.kms(key),
    jobBookmarksEncryption: glue.JobBookmarksEncryption.clientSideKms(key),
  });
  const jdbcUrl = `jdbc:postgresql://${name}.example.com:5432/clinical`;
  const connection = new glue.Connection(scope, "Connection", {
    type: glue.ConnectionType.JDBC,
    connectionName: fullName,
    network: place.network,
    securityGroups: [place.group],
    secret: secretsmanager.Secret.fromSecretCompleteArn(scope, "Secret", secretArn),
    properties: { JDBC_CONNECTION_URL: jdbcUrl, JDBC_ENFORCE_SSL: "true" },
  });
  const tags = { Name: name, customer: name };
  const job = new glue.CfnJob(scope, "Job", {
    command: { name: "glueetl", pythonVersion: "3", scriptLocation: script },
    role: role.roleArn,
    connections: { connections: [connection.connectionName] },
    name: fullName,
    description: `Extracts, transforms and encrypts the data of ${name}`,
    glueVersion: "5.1",
    workerType: "G.1X",
    numberOfWorkers: 4,
    executionProperty: { maxConcurrentRuns: 1 },
    jobRunQueuingEnabled: true,
    maxRetries: 0,
    timeout: 120,
    securityConfiguration: security.securityConfigurationName,
    defaultArguments: {
      "--enable-auto-scaling": "true",
      "--enable-continuous-cloudwatch-log": "true",
      "--enable-metrics": "true",
    },
    nonOverridableArguments: {
      "--TempDir": `s3://${bucket.bucketName}/tmp/`,
      "--additional-python-modules": "pip",
      "--ca-certificate": certificate,
      "--conf": "spark.io.encryption.enabled=true",
      "--customer": name,
      "--extra-files": rules,
      "--extra-jars": rules,
      "--extra-py-files": rules,
      "--jdbc-url": jdbcUrl,
      "--job-bookmark-option": "job-bookmark-enable",
      "--job-language": "python",
      "--key-arn": key.keyArn,
      "--output": `s3://${bucket.bucketName}/data/`,
      "--state": `s3://${bucket.bucketName}/state/`,
      "--python-modules-installer-option": "--no-index",
      "--rules": rules,
      "--scriptLocation": script,
      "--secret-arn": secretArn,
      "--spark-event-logs-path": `s3://${bucket.bucketName}/tmp/spark-events/`,
      "--tables": JSON.stringify(tables),
    },
    tags,
  });
  job.node.addDependency(permissions);
  new glue.CfnTrigger(scope, "Schedule", {
    name: fullName,
    type: "SCHEDULED",
    schedule: "cron(0 3 * * ? *)",
    startOnCreation: true,
    actions: [{ jobName: job.ref }],
    tags,
  });
  cdk.Tags.of(scope).add("Name", name);
  cdk.Tags.of(scope).add("customer", name);
  cdk.Tags.of(key).add("Name", `${place.stackName}/${name}`);
}

function keyPolicy(place, role, bucketArn, logGroups) {
  return new iam.PolicyDocument({
    statements: [
      new iam.PolicyStatement({
        sid: "AccountAdministersKey",
        principals: [new iam.AccountRootPrincipal()],
        actions: [...changeKey, ...lookAtKey],
        resources: ["*"],
      }),
      new iam.PolicyStatement({
        sid: "JobUsesKeyThroughS3",
        principals: [role],
        actions: ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
        resources: ["*"],
        conditions: {
          StringEquals: {
            "kms:CallerAccount": place.account,
            "kms:ViaService": `s3.${place.region}.amazonaws.com`,
          },
          StringLike: { [s3Context]: [bucketArn, `${bucketArn}/*`] },
        },
      }),
      new iam.PolicyStatement({
        sid: "JobCannotAdministerKey",
        effect: iam.Effect.DENY,
        principals: [role],
        actions: changeKey,
        resources: ["*"],
      }),
      new iam.PolicyStatement({
        sid: "RefuseGrantsExceptForAwsServices",
        effect: iam.Effect.DENY,
        principals: [new iam.AnyPrincipal()],
        actions: ["kms:CreateGrant"],
        resources: ["*"],
        conditions: { BoolIfExists: { "kms:GrantIsForAWSResource": "false" } },
      }),
      new iam.PolicyStatement({
        sid: "JobEncryptsInItsProcess",
        principals: [role],
        actions: ["kms:Decrypt", "kms:GenerateDataKey"],
        resources: ["*"],
        conditions: { Null: inApplications, StringEquals: { "kms:CallerAccount": place.account, ...format } },
      }),
      new iam.PolicyStatement({
        sid: "JobKeepsBookmarks",
        principals: [role],
        actions: ["kms:Decrypt", "kms:Encrypt"],
        resources: ["*"],
        conditions: forBookmarks(place),
      }),
      new iam.PolicyStatement({
        sid: "LogsEncryptLogGroups",
        principals: [new iam.ServicePrincipal(`logs.${place.region}.amazonaws.com`)],
        actions: [
          "kms:Decrypt",
          "kms:DescribeKey",
          "kms:Encrypt",
          "kms:GenerateDataKey",
          "kms:GenerateDataKeyWithoutPlaintext",
          "kms:ReEncryptFrom",
          "kms:ReEncryptTo",
        ],
        resources: ["*"],
        conditions: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": logGroups } },
      }),
    ],
  });
}

function bucketOf(scope, name, key) {
  const bucket = new s3.Bucket(scope, "Bucket", {
    bucketNamePrefix: name,
    bucketNamespace: s3.BucketNamespace.ACCOUNT_REGIONAL,
    encryption: s3.BucketEncryption.KMS,
    encryptionKey: key,
    bucketKeyEnabled: true,
    blockedEncryptionTypes: [s3.BlockedEncryptionType.SSE_C],
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    versioned: true,
    lifecycleRules: [
      {
        id: "Retention",
        noncurrentVersionExpiration: cdk.Duration.days(90),
        abortIncompleteMultipartUploadAfter: cdk.Duration.days(7),
        expiredObjectDeleteMarker: true,
      },
      { id: "Temporary", prefix: "tmp/", expiration: cdk.Duration.days(7) },
    ],
    removalPolicy: cdk.RemovalPolicy.RETAIN,
  });
  const [anybody, objects] = [new iam.AnyPrincipal(), bucket.arnForObjects("*")];
  const otherKey = { StringNotEquals: { [sseKmsKey]: key.keyArn } };
  for (const [sid, action, condition] of [
    [
      "RefuseOtherEncryption",
      "s3:PutObject",
      { Null: { [sse]: "false" }, StringNotEquals: { [sse]: ["aws:kms", "aws:kms:dsse"] } },
    ],
    ["RefuseEncryptionUnderMissingOrOtherKey", "s3:PutObject", { Null: { [sse]: "false" }, ...otherKey }],
    ["RefuseOtherKey", "s3:PutObject", { Null: { [sseKmsKey]: "false" }, ...otherKey }],
    ["RefuseUpdateToOtherKey", "s3:UpdateObjectEncryption", otherKey],
    ["RefuseCustomerProvidedKeys", "s3:PutObject", { Null: { [sseC]: "false" } }],
  ]) {
    bucket.addToResourcePolicy(
      new iam.PolicyStatement({
        sid,
        effect: iam.Effect.DENY,
        principals: [anybody],
        actions: [action],
        resources: [objects],
        conditions: condition,
      }),
    );
  }
  bucket.policy?.applyRemovalPolicy(cdk.RemovalPolicy.RETAIN);
  return bucket;
}

function permissionsOf(place, bucket, key, { secretArn, logGroups, fullName }) {
  const [bucketArn, objects, keyArn] = [bucket.bucketArn, bucket.arnForObjects("*"), key.keyArn];
  const here = `${place.region}:${place.account}`;
  const inGlue = `arn:${place.partition}:glue:${here}`;
  const interfaces = `arn:${place.partition}:ec2:${here}:network-interface/*`;
  const elsewhere = `arn:${place.partition}:ec2:${place.region}:*`;
  const code = `arn:${place.partition}:s3:::acme-code`;
  return [
    new iam.PolicyStatement({
      sid: "UseBucket",
      actions: ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"],
      resources: [bucketArn],
    }),
    new iam.PolicyStatement({
      sid: "UseObjects",
      actions: [
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionTagging",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "s3:PutObjectTagging",
      ],
      resources: [objects],
    }),
    new iam.PolicyStatement({
      sid: "UseKeyThroughS3",
      actions: ["kms:Decrypt", "kms:GenerateDataKey"],
      resources: [keyArn],
      conditions: {
        StringEquals: { "kms:ViaService": `s3.${place.region}.amazonaws.com` },
        StringLike: { [s3Context]: [bucketArn, objects] },
      },
    }),
    new iam.PolicyStatement({
      sid: "DeleteTemporaryObjects",
      actions: ["s3:DeleteObject"],
      resources: [bucket.arnForObjects("tmp/*")],
    }),
    new iam.PolicyStatement({
      sid: "EncryptInJob",
      actions: ["kms:Decrypt", "kms:GenerateDataKey"],
      resources: [keyArn],
      conditions: { Null: inApplications, StringEquals: format },
    }),
    new iam.PolicyStatement({
      sid: "KeepBookmarks",
      actions: ["kms:Decrypt", "kms:Encrypt"],
      resources: [keyArn],
      conditions: forBookmarks(place),
    }),
    new iam.PolicyStatement({ sid: "ReadSecret", actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] }),
    new iam.PolicyStatement({
      sid: "ReadCode",
      actions: ["s3:GetObject"],
      resources: [`${code}/script.py`, `${code}/rules.zip`],
    }),
    new iam.PolicyStatement({
      sid: "WriteLogs",
      actions: ["logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
      resources: [logGroups],
    }),
    new iam.PolicyStatement({
      sid: "ReadConnection",
      actions: ["glue:GetConnection"],
      resources: [`${inGlue}:catalog`, `${inGlue}:connection/${fullName}`],
    }),
    new iam.PolicyStatement({
      sid: "LookAtNetwork",
      actions: [
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcEndpoints",
      ],
      resources: ["*"],
    }),
    new iam.PolicyStatement({
      sid: "MakeNetworkInterface",
      actions: ["ec2:CreateNetworkInterface"],
      resources: [interfaces, `${elsewhere}:subnet/${subnetId}`, `${elsewhere}:security-group/${groupId}`],
    }),
    new iam.PolicyStatement({
      sid: "DeleteNetworkInterface",
      actions: ["ec2:DeleteNetworkInterface"],
      resources: [interfaces],
    }),
    new iam.PolicyStatement({
      sid: "MarkNetworkInterface",
      actions: ["ec2:CreateTags", "ec2:DeleteTags"],
      resources: [interfaces],
      conditions: { "ForAllValues:StringEquals": { "aws:TagKeys": ["aws-glue-service-resource"] } },
    }),
    new iam.PolicyStatement({
      sid: "ReadOwnJob",
      actions: ["glue:GetJob", "glue:GetJobRun"],
      resources: [`${inGlue}:job/${fullName}`],
    }),
    new iam.PolicyStatement({ sid: "ReadBookmarks", actions: ["glue:GetJobBookmark"], resources: ["*"] }),
    new iam.PolicyStatement({
      sid: "CountInGlue",
      actions: ["cloudwatch:PutMetricData"],
      resources: ["*"],
      conditions: { StringEquals: { "cloudwatch:namespace": "Glue" } },
    }),
  ];
}

function forBookmarks(place) {
  return {
    StringEquals: { "kms:CallerAccount": place.account },
    StringEqualsIfExists: { "kms:ViaService": `glue.${place.region}.amazonaws.com` },
    Null: { [s3Context]: "true" },
  };
}

const imported = performance.now();
const app = new cdk.App({ outdir, context: JSON.parse(process.argv[5]), builtinCloudFormationValidation: false });
let stack, place;
for (let number = 0; number < customers; number += 1) {
  if (number % inAStack === 0) {
    stack = new cdk.Stack(app, `Customers${number / inAStack}`, { env, suppressTemplateIndentation: true });
    place = placeIn(stack);
  }
  const name = `customer-${number}`;
  const secret = `arn:aws:secretsmanager:${env.region}:${env.account}:secret:${name}/database-AbCdEf`;
  customer(stack, place, name, secret);
}
const constructed = performance.now();
app.synth();
const ended = performance.now();
const seconds = (from, to) => (to - from) / 1000;
console.log(
  JSON.stringify({
    imports: seconds(started, imported),
    construct: seconds(imported, constructed),
    synth: seconds(constructed, ended),
    megabytes: process.resourceUsage().maxRSS / 1024,
  }),
);
