// The fleet of benchmarks/fleet.py by hand, in JavaScript as the TypeScript compiler would leave it.
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

function customer(stack, place, name) {
  const scope = new Construct(stack, name);
  const key = new kms.Key(scope, "Key", {
    alias: `alias/${cdk.Aws.STACK_NAME}/${name}`,
    description: `Encrypts the data of ${name}`,
    enableKeyRotation: true,
  });
  const bucket = new s3.Bucket(scope, "Bucket", {
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
  });
  for (const [header, value] of [
    ["s3:x-amz-server-side-encryption", "aws:kms"],
    ["s3:x-amz-server-side-encryption-aws-kms-key-id", key.keyArn],
  ]) {
    bucket.addToResourcePolicy(
      new iam.PolicyStatement({
        effect: iam.Effect.DENY,
        principals: [new iam.AnyPrincipal()],
        actions: ["s3:PutObject"],
        resources: [bucket.arnForObjects("*")],
        conditions: { Null: { [header]: "false" }, StringNotEquals: { [header]: value } },
      }),
    );
  }
  const role = new iam.Role(scope, "Role", { assumedBy: new iam.ServicePrincipal("glue.amazonaws.com") });
  const secretArn = `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${name}/database-AbCdEf`;
  new iam.ManagedPolicy(scope, "Permissions", {
    roles: [role],
    statements: [
      new iam.PolicyStatement({ actions: ["s3:ListBucket", "s3:GetBucketLocation"], resources: [bucket.bucketArn] }),
      new iam.PolicyStatement({
        actions: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        resources: [bucket.arnForObjects("*")],
      }),
      new iam.PolicyStatement({ actions: ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], resources: [key.keyArn] }),
      new iam.PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] }),
      new iam.PolicyStatement({ actions: ["s3:GetObject"], resources: ["arn:aws:s3:::acme-code/*"] }),
      new iam.PolicyStatement({
        actions: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:AssociateKmsKey"],
        resources: [`arn:aws:logs:${cdk.Aws.REGION}:${cdk.Aws.ACCOUNT_ID}:log-group:/aws-glue/jobs/*`],
      }),
      new iam.PolicyStatement({
        actions: ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces"],
        resources: ["*"],
      }),
      new iam.PolicyStatement({ actions: ["cloudwatch:PutMetricData"], resources: ["*"] }),
    ],
  });
  key.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [new iam.ServicePrincipal("logs.amazonaws.com")],
      actions: ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"],
      resources: ["*"],
      conditions: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:*:*:log-group:/aws-glue/jobs/*" } },
    }),
  );
  const security = new glue.SecurityConfiguration(scope, "SecurityConfiguration", {
    s3Encryption: glue.S3Encryption.kms(key),
    cloudWatchEncryption: glue.CloudWatchEncryption.kms(key),
    jobBookmarksEncryption: glue.JobBookmarksEncryption.clientSideKms(key),
  });
  const connection = new glue.Connection(scope, "Connection", {
    type: glue.ConnectionType.JDBC,
    connectionName: name,
    ...place,
    secret: secretsmanager.Secret.fromSecretCompleteArn(scope, "Secret", secretArn),
    properties: {
      JDBC_CONNECTION_URL: `jdbc:postgresql://${name}.example.com:5432/clinical`,
      JDBC_ENFORCE_SSL: "true",
    },
  });
  const job = new glue.PySparkEtlJob(scope, "Job", {
    role: role.withoutPolicyUpdates(),
    script: glue.Code.fromBucket(s3.Bucket.fromBucketName(scope, "Code", "acme-code"), "script.py"),
    connections: [connection],
    jobName: name,
    glueVersion: glue.GlueVersion.V5_1,
    workerConfiguration: { workerType: glue.WorkerType.G_1X, numberOfWorkers: 4 },
    maxConcurrentRuns: 1,
    maxRetries: 0,
    timeout: cdk.Duration.hours(2),
    securityConfiguration: security,
    defaultArguments: { "--customer": name, "--secret-arn": secretArn },
  });
  new glue.CfnTrigger(scope, "Schedule", {
    type: "SCHEDULED",
    schedule: "cron(0 3 * * ? *)",
    startOnCreation: true,
    actions: [{ jobName: job.jobName }],
  });
  cdk.Tags.of(scope).add("customer", name);
}

const imported = performance.now();
const app = new cdk.App({ outdir, context: JSON.parse(process.argv[5]), builtinCloudFormationValidation: false });
let stack, place;
for (let number = 0; number < customers; number += 1) {
  if (number % inAStack === 0) {
    stack = new cdk.Stack(app, `Customers${number / inAStack}`, { env });
    const group = ec2.SecurityGroup.fromSecurityGroupId(stack, "Group", "sg-0123456789abcdef0");
    const subnet = ec2.Subnet.fromSubnetAttributes(stack, "Subnet", {
      subnetId: "subnet-0123456789abcdef0",
      availabilityZone: "eu-central-1a",
    });
    place = { network: glue.ConnectionNetwork.subnet(subnet), securityGroups: [group] };
  }
  customer(stack, place, `customer-${number}`);
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
