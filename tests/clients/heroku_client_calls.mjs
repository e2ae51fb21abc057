// Makes the calls that stand as JSON in the first word, one after the other, with npm's heroku-client; prints what came.
import Heroku from "heroku-client";

const heroku = new Heroku({ token: process.env.HEROKU_API_KEY, host: process.env.HEROKU_HOST });
const answers = [];
for (const { method, path, body } of JSON.parse(process.argv[2])) {
  try {
    answers.push(await heroku.request({ method, path, body }));
  } catch (error) {
    answers.push({ status: error.statusCode, ...error.body });
  }
}
console.log(JSON.stringify(answers));
